"""The authorization request and its response, both ways (RFC 6749 §4.1.1, §4.1.2; RFC 7636 §4.3; RFC 9207)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from .errors import INVALID_REQUEST, SERVER_ERROR, UNSUPPORTED_RESPONSE_TYPE, OAuthError, public_text
from .parameters import Parameters, add_to_query
from .pkce import S256, check_challenge
from .scopes import format_scope, parse_scope

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query",)
PROMPTS = ("none", "login", "consent", "select_account")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What the client asks for. ``redirect_uri`` is None where the request leaves it to the registration."""

    client_id: str
    code_challenge: str | None
    redirect_uri: str | None = None
    scopes: tuple[str, ...] = ()
    state: str | None = field(default=None, repr=False)
    resources: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    login_hint: str | None = None
    max_age: int | None = None

    def encode(self, authorization_endpoint: str, *, extra: Mapping[str, str] | None = None) -> str:
        """Return the finished URL for the user to visit; ``extra`` adds a provider's own parameters.

        A parameter that this request holds is never replaced by ``extra``; one that it leaves out may come from there.
        """
        pairs: list[tuple[str, str | None]] = [
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("scope", format_scope(self.scopes)),
            ("state", self.state),
            ("code_challenge", self.code_challenge),
            ("code_challenge_method", S256 if self.code_challenge else None),
            *(("resource", resource) for resource in self.resources),
            ("prompt", " ".join(self.prompts)),
            ("login_hint", self.login_hint),
            ("max_age", None if self.max_age is None else str(self.max_age)),
        ]
        named = {name for name, value in pairs if value}
        pairs += [(name, value) for name, value in (extra or {}).items() if name not in named]
        return add_to_query(authorization_endpoint, pairs)

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        """Check what arrived in the order of RFC 6749 §4.1.2.1; raises OAuthError.

        The caller has checked client_id and redirect_uri before: only then may an error be sent to that URI.
        """
        if (response_type := parameters.require("response_type")) not in RESPONSE_TYPES:
            known = "code" if response_type not in ("token", "id_token") else "code; the implicit grant is gone"
            raise OAuthError(UNSUPPORTED_RESPONSE_TYPE, f"response_type is not one that this server has: send {known}.")
        if parameters.visible("response_mode") not in (None, *RESPONSE_MODES):
            raise OAuthError(INVALID_REQUEST, "response_mode is not one that this server has; send query or nothing.")
        challenge = check_challenge(parameters.visible("code_challenge"), parameters.visible("code_challenge_method"))
        return cls(
            client_id=parameters.require("client_id"),
            code_challenge=challenge,
            redirect_uri=parameters.visible("redirect_uri"),
            scopes=parse_scope(parameters.get("scope")),
            state=parameters.visible("state"),
            resources=parameters.all("resource"),
            prompts=_prompts(parameters.visible("prompt")),
            login_hint=parameters.get("login_hint"),
            max_age=_max_age(parameters.visible("max_age")),
        )


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """The code on its way to the client, with ``state`` unchanged and the issuer's name (RFC 9207 §2)."""

    code: str = field(repr=False)
    state: str | None = field(default=None, repr=False)
    iss: str | None = None

    def encode(self, redirect_uri: str) -> str:
        return add_to_query(redirect_uri, [("code", self.code), ("state", self.state), ("iss", self.iss)])


@dataclass(frozen=True, slots=True)
class AuthorizationErrorResponse:
    """A refusal on its way to the client (RFC 6749 §4.1.2.1)."""

    error: str
    error_description: str | None = None
    error_uri: str | None = None
    state: str | None = field(default=None, repr=False)
    iss: str | None = None

    def encode(self, redirect_uri: str) -> str:
        return add_to_query(
            redirect_uri,
            [
                ("error", self.error),
                ("error_description", self.error_description),
                ("error_uri", self.error_uri),
                ("state", self.state),
                ("iss", self.iss),
            ],
        )


def decode_response(parameters: Parameters) -> AuthorizationResponse | AuthorizationErrorResponse:
    """Read what came back to the redirect URI; raises OAuthError for an answer with neither code nor error, or both."""
    code, error = parameters.visible("code"), parameters.get("error")
    state, iss = parameters.visible("state"), parameters.visible("iss")
    if code is not None and error is not None:
        raise OAuthError(INVALID_REQUEST, "The authorization response holds both code and error.")
    if code is not None:
        return AuthorizationResponse(code=code, state=state, iss=iss)
    if error is None:
        raise OAuthError(INVALID_REQUEST, "The authorization response holds neither code nor error.")
    description, uri = parameters.get("error_description"), parameters.get("error_uri")
    return AuthorizationErrorResponse(
        error=public_text(error, limit=100) or SERVER_ERROR,
        error_description=None if description is None else public_text(description, limit=500),
        error_uri=None if uri is None else public_text(uri, limit=500),
        state=state,
        iss=iss,
    )


def _prompts(value: str | None) -> tuple[str, ...]:
    prompts = tuple(dict.fromkeys(value.split())) if value else ()
    if any(prompt not in PROMPTS for prompt in prompts):
        raise OAuthError(INVALID_REQUEST, "prompt holds a word other than none, login, consent and select_account.")
    if "none" in prompts and len(prompts) > 1:
        raise OAuthError(INVALID_REQUEST, "prompt none stands beside another word; send it alone.")
    return prompts


def _max_age(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise OAuthError(INVALID_REQUEST, "max_age is not a number of seconds; send digits only.")
    return int(value)
