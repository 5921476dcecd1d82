"""Authorization server metadata, both ways (RFC 8414)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from .authentication_methods import AUTHENTICATION_METHODS
from .authorization import RESPONSE_MODES, RESPONSE_TYPES
from .errors import INVALID_REQUEST, OAuthError
from .pkce import CODE_CHALLENGE_METHODS

WELL_KNOWN = "/.well-known/oauth-authorization-server"
OPENID_WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "introspection_endpoint",
    "jwks_uri",
)


def well_known_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's document may lie, in the order to try (RFC 8414 §3.1, §5)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    candidates = (
        f"{origin}{WELL_KNOWN}{path}",
        f"{origin}{OPENID_WELL_KNOWN}{path}",
        f"{origin}{path}{OPENID_WELL_KNOWN}",
    )
    return tuple(dict.fromkeys(candidates))


def server_document(issuer: str, *, endpoints: Mapping[str, str], **members: object) -> dict[str, object]:
    """Return what this server publishes; ``endpoints`` maps member names to URLs, a member that is None is left out."""
    document: dict[str, object] = {
        "issuer": issuer,
        **endpoints,
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "code_challenge_methods_supported": list(CODE_CHALLENGE_METHODS),
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "authorization_response_iss_parameter_supported": True,
        **members,
    }
    return {name: value for name, value in document.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a client needs to know of a server."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str = ""
    userinfo_endpoint: str = ""
    introspection_endpoint: str = ""
    jwks_uri: str = ""
    iss_parameter_supported: bool = False
    code_challenge_methods: tuple[str, ...] = ()
    token_endpoint_auth_methods: tuple[str, ...] = ("client_secret_basic",)

    def endpoints(self) -> tuple[tuple[str, str], ...]:
        """Return the addresses by their names; one that is not published is empty."""
        return tuple((name, getattr(self, name)) for name in ENDPOINTS)

    @classmethod
    def decode(cls, document: Any, *, issuer: str) -> Self:
        """Check a parsed document; raises OAuthError. Its ``issuer`` must be the one asked for (RFC 8414 §3.3)."""
        if not isinstance(document, Mapping):
            raise OAuthError(INVALID_REQUEST, "The server's metadata is not a JSON object.")
        if document.get("issuer") != issuer:
            raise OAuthError(
                INVALID_REQUEST,
                "The server's metadata names another issuer than the one asked for.",
                detail=f"It names {ascii(document.get('issuer'))[:200]}; the two are compared to the character.",
            )
        return cls(
            issuer=issuer,
            authorization_endpoint=_url(document, "authorization_endpoint", required=True),
            token_endpoint=_url(document, "token_endpoint", required=True),
            revocation_endpoint=_url(document, "revocation_endpoint"),
            userinfo_endpoint=_url(document, "userinfo_endpoint"),
            introspection_endpoint=_url(document, "introspection_endpoint"),
            jwks_uri=_url(document, "jwks_uri"),
            iss_parameter_supported=document.get("authorization_response_iss_parameter_supported") is True,
            code_challenge_methods=_strings(document.get("code_challenge_methods_supported"), ()),
            token_endpoint_auth_methods=_strings(
                document.get("token_endpoint_auth_methods_supported"), ("client_secret_basic",)
            ),
        )


def _url(document: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    value = document.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")) or "#" in value:
        raise OAuthError(INVALID_REQUEST, f"The server's metadata has no usable {name}.")
    return value


def _strings(value: object, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else default
