"""Making tokens: rows are inserted and never rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

from django.db import IntegrityError

from ..compiled import Insert, Update
from ..conf import Settings
from ..instances import stored_instance
from ..protocol.jwt_access_token import access_token_claims
from ..protocol.scopes import format_scope, parse_scope
from ..protocol.token import TokenResponse
from ..secrets import ACCESS_TOKEN, REFRESH_TOKEN, digest, generate
from ..writing import KEY, Step, write
from .events import record, recording
from .models import OPAQUE, AccessToken, AuthorizationCode, Client, DeviceCode, RefreshToken, TokenFamily
from .purge import purge_sometimes
from .resources import narrowed_resources
from .scopes import narrowed_scopes

_CLIENT: Final[Any] = TokenFamily._meta.get_field("client")
_FAMILY: Final = Insert(TokenFamily)
_FAMILY_COLUMNS: Final = [field.attname for field in TokenFamily._meta.concrete_fields if not field.primary_key]
_ACCESS_TOKEN: Final = Insert(AccessToken)
_REFRESH_TOKEN: Final = Insert(RefreshToken)


def new_family(
    *,
    client: Client,
    user_id: Any,
    scope: str,
    resource: str | None = None,
    settings: Settings,
    now: datetime,
    using: str,
) -> TokenFamily:
    """Make what everything of this authorization will point to: ``issue_tokens`` stores it and gives it its key.

    ``user_id`` is None where no person is in it.
    """
    lifetime = settings.authorization_lifetime
    columns = {
        "id": None,
        "client_id": client.id,
        "user_id": user_id,
        "created_at": now,
        "expires_at": None if lifetime is None else now + lifetime,
        "last_used_at": now,
        "revoked_at": None,
        "revoked_reason": None,
        "scope": scope,
        "resource": resource,
        "has_siblings": False,
    }
    family: Any = stored_instance(TokenFamily, using, columns)
    _CLIENT.set_cached_value(family, client)
    return cast(TokenFamily, family)


def redeem(
    code: AuthorizationCode | DeviceCode,
    client: Client,
    *,
    claim: Update,
    grant_type: str,
    resources: tuple[str, ...],
    settings: Settings,
    now: datetime,
    using: str,
) -> TokenResponse | None:
    """Begin a family with what the code stands for, and tell of it; None where that is claimed already, or gone.

    Filling ``family`` is the ``claim``, and the database decides it: of several requests one UPDATE finds it empty.
    ``resources`` are those that the request names. Raises OAuthError where the client may not have what it asks for.
    """
    narrowed = {
        "scopes": narrowed_scopes((), parse_scope(code.scope), client=client, registry=settings.scopes),
        "resources": narrowed_resources(resources, code.resources, client=client, registry=settings.resources),
    }
    family = new_family(
        client=client,
        user_id=code.user_id,
        scope=code.scope,
        resource=code.resource,
        settings=settings,
        now=now,
        using=using,
    )
    try:
        with recording(using):
            response = issue_tokens(
                family,
                settings=settings,
                now=now,
                using=using,
                claims=[(claim, {"digest": code.digest, "family": KEY})],
                generation=0 if client.may_use("refresh_token") else None,
                **narrowed,
            )
            if response is not None:
                record(
                    "tokens_issued", client=client, user=code.user, family=family.id, using=using, grant_type=grant_type
                )
    except IntegrityError:
        # User or client are gone. A database that checks foreign keys at once finds that before the code is missed.
        return None
    return response


def issue_tokens(
    family: TokenFamily,
    *,
    settings: Settings,
    now: datetime,
    using: str,
    claims: Sequence[Step] = (),
    scopes: tuple[str, ...] | None = None,
    resources: tuple[str, ...] | None = None,
    generation: int | None = None,
) -> TokenResponse | None:
    """Insert an access token of the family and, if ``generation`` is given, a refresh token; the family if it is new.

    All or nothing: one statement on PostgreSQL, and elsewhere one for each row and each of the ``claims``: changes that
    one issuance alone may make, where a new family is named ``KEY``. Returns None, and has inserted nothing, where one
    of them finds its row changed already. ``scopes`` and ``resources`` narrow the access token; None leaves it at the
    family's.
    """
    expires_at = _earliest(now + settings.access_token_lifetime, family.expires_at)
    if family.client.token_format == OPAQUE:
        raw_access_token = generate(ACCESS_TOKEN)
    else:
        granted = family.scopes if scopes is None else scopes
        bound = family.resources if resources is None else resources
        raw_access_token = _signed(family, granted, bound, expires_at, settings=settings, now=now, using=using)
    steps: list[Step] = []
    is_new = family.id is None
    if is_new:
        steps.append((_FAMILY, {name: getattr(family, name) for name in _FAMILY_COLUMNS}))
    steps += claims
    of_family = {"family_id": KEY if is_new else family.id, "created_at": now}
    stored = digest(raw_access_token)
    access_token = {
        "digest": stored,
        "expires_at": expires_at,
        "scope": None if scopes is None else format_scope(scopes),
        "resource": None if resources is None else " ".join(resources),
    }
    steps.append((_ACCESS_TOKEN, of_family | access_token))
    raw_refresh_token = None
    if generation is not None:
        raw_refresh_token = generate(REFRESH_TOKEN)
        ends = _earliest(now + settings.refresh_token_lifetime, family.expires_at)
        refresh_token = {"digest": digest(raw_refresh_token), "expires_at": ends, "generation": generation}
        steps.append((_REFRESH_TOKEN, of_family | refresh_token))
    written, key = write(using, *steps)
    if not written:
        return None
    if is_new:
        family.id = key
    purge_sometimes(stored, now=now, using=using)
    return TokenResponse(
        access_token=raw_access_token,
        expires_in=int((expires_at - now).total_seconds()),
        refresh_token=raw_refresh_token,
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


def _earliest(moment: datetime, end: datetime | None) -> datetime:
    return moment if end is None else min(moment, end)
