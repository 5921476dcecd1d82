"""Bearer tokens in the Authorization header, and the challenges that refuse them (RFC 6750)."""

from __future__ import annotations

import re

from .errors import INVALID_REQUEST, OAuthError

INVALID_TOKEN = "invalid_token"  # noqa: S105  (an error code)
INSUFFICIENT_SCOPE = "insufficient_scope"

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")
_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:$| )")


def encode(token: str) -> str:
    return f"Bearer {token}"


def decode(authorization: str | None) -> str | None:
    """Return the token, or None where the header is missing or of another scheme.

    Raises OAuthError ``invalid_request`` for a Bearer header whose token breaks RFC 6750 §2.1.
    """
    if authorization is None:
        return None
    scheme = _SCHEME.match(authorization)
    if scheme is None or scheme[1].lower() != "bearer":
        return None
    token = authorization[scheme.end() :].strip(" ")
    if not _B64TOKEN.match(token):
        raise OAuthError(INVALID_REQUEST, "The Authorization header is not Bearer and one token.")
    return token


def challenge(error: OAuthError | None = None, *, scope: str = "", resource_metadata: str = "") -> str:
    """Return the WWW-Authenticate value of RFC 6750 §3; without an error it is for a request that sent no token."""
    attributes = [("error", error.error), ("error_description", error.description)] if error else []
    attributes += [("scope", scope), ("resource_metadata", resource_metadata)]
    listed = ", ".join(f'{name}="{value}"' for name, value in attributes if value)
    return f"Bearer {listed}" if listed else "Bearer"
