"""What a verified token allows, and the refusal of one that is not let in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser

from ..protocol.errors import OAuthError
from ..server.models import Client


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token allows: ``request.oauth`` behind every guard.

    ``user`` is None without a person. ``client`` is None where another server issued the token; ``subject`` is then
    its name for the person, and None without one. ``service_user`` is for whom a client without a person acts.
    ``resources`` is what the token is bound to; empty: to this project.
    """

    client_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    client: Client | None = None
    user: Any = None
    service_user: Any = None
    subject: str | None = None
    resources: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What another server said of the token beside that."""

    @property
    def acting_user(self) -> Any:
        """What ``request.user`` becomes: the user, the client's service user, or AnonymousUser; never None."""
        # None is asked for, and not truth, which would load a user whom the cache of tokens leaves lazy.
        if self.user is not None:
            return self.user
        return AnonymousUser() if self.service_user is None else self.service_user


class Unavailable(Exception):
    """Whether a token is valid can't be found out at this moment."""


class Refused(Exception):
    """The request is not let in. ``status`` is 400, 401, 403, or 503 where nothing could be found out.

    ``headers`` are those of the answer: ``WWW-Authenticate`` with the challenge of RFC 6750 §3, or ``Retry-After`` in
    seconds, and ``Cache-Control``.
    """

    def __init__(
        self, status: int, error: OAuthError | None, *, challenge: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(error.error if error else "no token")
        self.status = status
        self.challenge = challenge
        self.error = error
        self.headers: dict[str, str] = {"Cache-Control": "no-store"}
        if challenge:
            self.headers["WWW-Authenticate"] = challenge
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def members(self) -> dict[str, str]:
        """The JSON body: nothing for a request that sent no token (RFC 6750 §3.1)."""
        return {} if self.error is None else {"error": self.error.error, "error_description": self.error.description}
