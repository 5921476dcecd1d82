"""The revocation request, both ways (RFC 7009 §2.1); its answer is an empty 200."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from .parameters import Parameters
from .token import Pairs


@dataclass(frozen=True, slots=True)
class RevocationRequest:
    token: str = field(repr=False)
    token_type_hint: str | None = None

    def encode(self) -> Pairs:
        return [("token", self.token), ("token_type_hint", self.token_type_hint)]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        """Raises OAuthError ``invalid_request``. An unknown hint is ignored, as the RFC says."""
        return cls(token=parameters.require("token"), token_type_hint=parameters.visible("token_type_hint"))
