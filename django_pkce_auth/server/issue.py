"""Making tokens: rows are inserted and never rewritten."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from ..compiled import Insert
from ..conf import Settings
from ..protocol.jwt_access_token import access_token_claims
from ..protocol.scopes import format_scope
from ..protocol.token import TokenResponse
from ..secrets import ACCESS_TOKEN, REFRESH_TOKEN, digest, generate
from .models import OPAQUE, AccessToken, Client, RefreshToken, TokenFamily
from .purge import purge_sometimes

_CLIENT: Final[Any] = TokenFamily._meta.get_field("client")
_FAMILY: Final = Insert(TokenFamily)
_ACCESS_TOKEN: Final = Insert(AccessToken)
_REFRESH_TOKEN: Final = Insert(RefreshToken)


def start_family(
    *,
    client: Client,
    user_id: Any,
    scope: str,
    resource: str | None = None,
    settings: Settings,
    now: datetime,
    using: str,
) -> TokenFamily:
    """Insert the row that everything of this authorization points to; ``user_id`` is None where no person is in it."""
    lifetime = settings.authorization_lifetime
    family: TokenFamily = _FAMILY.instance(
        using,
        client_id=client.id,
        user_id=user_id,
        created_at=now,
        last_used_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        scope=scope,
        resource=resource,
        has_siblings=False,
    )
    _CLIENT.set_cached_value(family, client)
    return family


def issue_tokens(
    family: TokenFamily,
    *,
    settings: Settings,
    now: datetime,
    using: str,
    scopes: tuple[str, ...] | None = None,
    resources: tuple[str, ...] | None = None,
    generation: int | None = None,
) -> TokenResponse:
    """Insert an access token of the family and, if ``generation`` is given, a refresh token; two statements at most.

    ``scopes`` and ``resources`` narrow the access token; None leaves it at the family's.
    """
    expires_at = _earliest(now + settings.access_token_lifetime, family.expires_at)
    if family.client.token_format == OPAQUE:
        raw_access_token = generate(ACCESS_TOKEN)
    else:
        granted = family.scopes if scopes is None else scopes
        bound = family.resources if resources is None else resources
        raw_access_token = _signed(family, granted, bound, expires_at, settings=settings, now=now, using=using)
    stored = digest(raw_access_token)
    _ACCESS_TOKEN.run(
        using,
        digest=stored,
        family_id=family.id,
        created_at=now,
        expires_at=expires_at,
        scope=None if scopes is None else format_scope(scopes),
        resource=None if resources is None else " ".join(resources),
    )
    purge_sometimes(stored, now=now, using=using)
    return TokenResponse(
        access_token=raw_access_token,
        expires_in=int((expires_at - now).total_seconds()),
        refresh_token=_refresh_token(family, generation, settings, now, using) if generation is not None else None,
        scopes=family.scopes if scopes is None else scopes,
    )


def _signed(
    family: TokenFamily,
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
    expires_at: datetime,
    *,
    settings: Settings,
    now: datetime,
    using: str,
) -> str:
    """Return the access token as a JWT; its row, found by its digest like any other, is what decides here."""
    from .keys import sign

    claims = access_token_claims(
        issuer=settings.issuer,
        subject=None if family.user_id is None else str(family.user_id),
        client_id=family.client.client_id,
        audience=resources or (settings.issuer,),
        scopes=scopes,
        token_id=generate(),
        issued_at=int(now.timestamp()),
        expires_at=int(expires_at.timestamp()),
    )
    return sign(claims, algorithm=family.client.token_format, settings=settings, now=now, using=using)


def _refresh_token(family: TokenFamily, generation: int, settings: Settings, now: datetime, using: str) -> str:
    raw = generate(REFRESH_TOKEN)
    _REFRESH_TOKEN.run(
        using,
        digest=digest(raw),
        family_id=family.id,
        created_at=now,
        expires_at=_earliest(now + settings.refresh_token_lifetime, family.expires_at),
        generation=generation,
    )
    return raw


def _earliest(moment: datetime, end: datetime | None) -> datetime:
    return moment if end is None else min(moment, end)
