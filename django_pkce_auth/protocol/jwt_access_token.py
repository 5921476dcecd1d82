"""The claims of an access token that is a JWT (RFC 9068 §2.2)."""

from __future__ import annotations

from typing import Any

from .scopes import format_scope


def access_token_claims(
    *,
    issuer: str,
    subject: str | None,
    client_id: str,
    audience: tuple[str, ...],
    scopes: tuple[str, ...],
    token_id: str,
    issued_at: int,
    expires_at: int,
) -> dict[str, Any]:
    """Return the claims; times are seconds since 1970. ``subject`` None: the client acts for itself and is it.

    Nothing else of the person is in it: whoever holds the token can read it.
    """
    return {
        "iss": issuer,
        "sub": client_id if subject is None else subject,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": client_id,
        "scope": format_scope(scopes),
        "iat": issued_at,
        "exp": expires_at,
        "jti": token_id,
    }
