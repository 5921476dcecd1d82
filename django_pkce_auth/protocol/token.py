"""The token request and its response, both ways (RFC 6749 §4.1.3, §5, §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from .errors import INVALID_REQUEST, OAuthError, public_text
from .parameters import Parameters
from .pkce import check_verifier
from .scopes import format_scope, parse_scope

BEARER = "Bearer"

Pairs = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class AuthorizationCodeTokenRequest:
    """A code and the proof that this client began the flow."""

    grant_type: ClassVar[str] = "authorization_code"
    code: str = field(repr=False)
    code_verifier: str | None = field(repr=False)
    redirect_uri: str | None = None
    resources: tuple[str, ...] = ()

    def encode(self) -> Pairs:
        return [
            ("grant_type", self.grant_type),
            ("code", self.code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", self.code_verifier),
            *(("resource", resource) for resource in self.resources),
        ]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(
            code=parameters.require("code"),
            code_verifier=check_verifier(parameters.require("code_verifier")),
            redirect_uri=parameters.visible("redirect_uri"),
            resources=parameters.all("resource"),
        )


@dataclass(frozen=True, slots=True)
class RefreshTokenRequest:
    """A refresh token, and optionally a narrower scope for the access token that it gives."""

    grant_type: ClassVar[str] = "refresh_token"
    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def encode(self) -> Pairs:
        return [
            ("grant_type", self.grant_type),
            ("refresh_token", self.refresh_token),
            ("scope", format_scope(self.scopes)),
            *(("resource", resource) for resource in self.resources),
        ]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(
            refresh_token=parameters.require("refresh_token"),
            scopes=parse_scope(parameters.get("scope")),
            resources=parameters.all("resource"),
        )


@dataclass(frozen=True, slots=True)
class ClientCredentialsTokenRequest:
    """A client that asks for itself (RFC 6749 §4.4.2)."""

    grant_type: ClassVar[str] = "client_credentials"
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def encode(self) -> Pairs:
        return [
            ("grant_type", self.grant_type),
            ("scope", format_scope(self.scopes)),
            *(("resource", resource) for resource in self.resources),
        ]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(scopes=parse_scope(parameters.get("scope")), resources=parameters.all("resource"))


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What the exchange gave. ``expires_in`` is in seconds; None where the server did not say."""

    access_token: str = field(repr=False)
    token_type: str = BEARER
    expires_in: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None

    def encode(self) -> dict[str, str | int]:
        members: dict[str, str | int | None] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
            "scope": None if self.scopes is None else format_scope(self.scopes),
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def decode(cls, members: object) -> Self:
        """Check a token endpoint's parsed JSON; raises OAuthError.

        A 200 with an ``error`` member is that error, and ``expires`` is read where ``expires_in`` is missing:
        servers of both kinds exist. Unknown members are ignored (RFC 6749 §5.1).
        """
        if not isinstance(members, Mapping):
            raise OAuthError(INVALID_REQUEST, "The token response is not a JSON object.")
        if members.get("error"):
            raise decode_error(members)
        access_token = members.get("access_token")
        if not isinstance(access_token, str) or not access_token or not _is_visible(access_token):
            raise OAuthError(INVALID_REQUEST, "The token response has no access_token of printable ASCII.")
        refresh_token = members.get("refresh_token")
        if refresh_token is not None and not (isinstance(refresh_token, str) and _is_visible(refresh_token)):
            raise OAuthError(INVALID_REQUEST, "The token response has a refresh_token that is no printable ASCII.")
        scope = members.get("scope")
        return cls(
            access_token=access_token,
            token_type=_token_type(members.get("token_type")),
            expires_in=_seconds(members.get("expires_in", members.get("expires"))),
            refresh_token=refresh_token or None,
            # Some servers separate scopes by commas; RFC 6749 §3.3 by spaces. A comma inside a scope is unheard of.
            scopes=parse_scope(scope.replace(",", " ")) if isinstance(scope, str) else None,
        )


def encode_error(error: OAuthError) -> dict[str, str]:
    """Return the JSON members of RFC 6749 §5.2."""
    return {"error": error.error, "error_description": error.description}


def decode_error(members: object) -> OAuthError:
    """Return the error that a token endpoint's parsed JSON names, with its texts made safe to show and log."""
    named = members.get("error") if isinstance(members, Mapping) else None
    if not isinstance(named, str) or not named:
        return OAuthError("server_error", "The answer is no error response of RFC 6749 section 5.2.")
    description = members.get("error_description") if isinstance(members, Mapping) else None
    return OAuthError(
        public_text(named, limit=100), public_text(description, limit=500) if isinstance(description, str) else ""
    )


def _is_visible(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _token_type(value: object) -> str:
    if value is None or (isinstance(value, str) and value.lower() == "bearer"):
        return BEARER
    raise OAuthError(INVALID_REQUEST, "The token response has a token_type other than Bearer.")


def _seconds(value: object) -> int | None:
    """Read a lifetime leniently: digits in a string count, nonsense and what is below one second counts as not said."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 10**10:
        return None
    return int(value)
