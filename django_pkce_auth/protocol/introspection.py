"""The introspection request and its answer, both ways (RFC 7662 §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .errors import INVALID_REQUEST, OAuthError
from .parameters import Parameters
from .scopes import format_scope, parse_scope
from .token import BEARER, Pairs


@dataclass(frozen=True, slots=True)
class IntrospectionRequest:
    token: str = field(repr=False)
    token_type_hint: str | None = None

    def encode(self) -> Pairs:
        return [("token", self.token), ("token_type_hint", self.token_type_hint)]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(token=parameters.require("token"), token_type_hint=parameters.visible("token_type_hint"))


@dataclass(frozen=True, slots=True)
class IntrospectionResponse:
    """What is said of a token; of one that is not active nothing but that. Times are seconds since 1970."""

    active: bool
    client_id: str = ""
    username: str | None = None
    sub: str | None = None
    scopes: tuple[str, ...] = ()
    token_type: str | None = BEARER
    exp: int | None = None
    iat: int | None = None
    iss: str | None = None
    audience: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        if not self.active:
            return {"active": False}
        members: dict[str, Any] = {
            "active": True,
            "client_id": self.client_id,
            "username": self.username,
            "sub": self.sub,
            "scope": format_scope(self.scopes),
            "token_type": self.token_type,
            "exp": self.exp,
            "iat": self.iat,
            "iss": self.iss,
            "aud": list(self.audience) or None,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def decode(cls, members: object) -> Self:
        """Check a parsed answer; raises OAuthError for one that does not say whether the token is active."""
        if not isinstance(members, Mapping) or not isinstance(members.get("active"), bool):
            raise OAuthError(INVALID_REQUEST, "The introspection response does not say whether the token is active.")
        if not members["active"]:
            return cls(active=False, token_type=None)
        audience = members.get("aud")
        listed = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        return cls(
            active=True,
            client_id=_text(members.get("client_id")) or "",
            username=_text(members.get("username")),
            sub=_text(members.get("sub")),
            scopes=parse_scope(_text(members.get("scope"))),
            token_type=_text(members.get("token_type")),
            exp=_seconds(members.get("exp")),
            iat=_seconds(members.get("iat")),
            iss=_text(members.get("iss")),
            audience=tuple(item for item in listed if isinstance(item, str)),
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: object) -> int | None:
    return (
        int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**11 else None
    )
