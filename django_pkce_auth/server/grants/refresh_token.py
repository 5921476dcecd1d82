"""grant_type=refresh_token, rotated, with detection of reuse (RFC 6749 §6, RFC 9700 §4.14)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from django.db import connections, router
from django.db.models import Exists, F, OuterRef, QuerySet

from ...compiled import Select, Update
from ...conf import Settings
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_GRANT, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.token import RefreshTokenRequest, TokenResponse
from ...statement import Slot, together
from ...writing import Step
from ..authenticate import authenticate, require_grant_type
from ..events import record, recording
from ..issue import issue_tokens
from ..last_used import note_use
from ..lookups import find_refresh_token
from ..models import Client, RefreshToken, TokenFamily
from ..resources import narrowed_resources
from ..revoke import revoke_family
from ..scopes import narrowed_scopes
from ..validity import is_live

logger = logging.getLogger("django_pkce_auth.server")


def _unused() -> QuerySet[RefreshToken]:
    return RefreshToken.objects.filter(digest=Slot(RefreshToken, "digest"), superseded_at=None)


def _first_of_siblings() -> QuerySet[RefreshToken]:
    siblings = RefreshToken.objects.filter(family=OuterRef("family"), generation=OuterRef("generation"))
    return _unused().filter(~Exists(siblings.filter(superseded_at__isnull=False)))


_SUPERSEDE = Update(_unused, superseded_at=Slot(RefreshToken, "superseded_at"))
_SUPERSEDE_FIRST = Update(_first_of_siblings, superseded_at=Slot(RefreshToken, "superseded_at"))
"""Of the tokens that a retry made, one client uses one."""
_USED_SIBLING = Select(
    lambda: RefreshToken.objects.filter(
        family=Slot(RefreshToken, "family"), generation=Slot(RefreshToken, "generation"), superseded_at__isnull=False
    ).exclude(digest=Slot(RefreshToken, "digest"))[:1],
    values=["superseded_at"],
)

RETRY_WINDOW = timedelta(seconds=30)
"""How long a client whose answer was lost may present the superseded token again."""
RETRIES = 3
"""How many such retries one token has; each gives a sibling of the answer that was lost."""
SLIDE = timedelta(days=1)
USE_NOTED_EVERY = timedelta(days=1)
"""A refresh tells of use that nobody else may see, as an API that checks JWTs by itself tells nothing of it."""
SIMULTANEOUS = timedelta(seconds=2)
"""Requests this close together are one client's own race, which no thief has to have caused."""

_RETRY = Update(
    lambda: RefreshToken.objects.filter(
        digest=Slot(RefreshToken, "digest"),
        superseded_at__gt=Slot(RefreshToken, "superseded_at", "since"),
        retries__lt=RETRIES,
    ),
    retries=F("retries") + 1,
)
"""Claims one of the few retries that a client whose answer was lost has."""


def _family() -> QuerySet[TokenFamily]:
    return TokenFamily.objects.filter(pk=Slot(TokenFamily, "id"))


_NOTE_SIBLINGS = Update(_family, has_siblings=True)
_TAKE_TURN = Update(_family, has_siblings=F("has_siblings"))
"""Writes what is there already: siblings that come at the same moment wait for each other at their family's row."""


def exchange_refresh_token(
    parameters: Parameters, credentials: ClientCredentials, *, settings: Settings, now: datetime
) -> TokenResponse:
    """Give new tokens for a refresh token; raises OAuthError."""
    request = RefreshTokenRequest.decode(parameters)
    token, owner = find_refresh_token(request.refresh_token, secrets=credentials.has_secret)
    client = authenticate(credentials, found=owner, now=now)
    require_grant_type(client, request.grant_type)
    if token is None or (family := token.family).client_id != client.id:
        raise _refused("unknown, or another client's")
    using = router.db_for_write(RefreshToken)
    _check_alive(token, family, client, now)
    scopes = narrowed_scopes(request.scopes, family.scopes, client=client, registry=settings.scopes)
    resources = narrowed_resources(request.resources, family.resources, client=client, registry=settings.resources)
    narrowed = {"scopes": scopes, "resources": resources}
    issue = partial(_issue, token, client, settings=settings, now=now, using=using, narrowed=narrowed)
    keeps = client.is_confidential and not client.rotates_refresh_tokens
    # One that was superseded while the client still rotated stays superseded.
    if keeps and token.superseded_at is None:
        _slide(token, settings=settings, now=now, using=using)
        return cast(TokenResponse, issue(rotate=False))
    if token.superseded_at is None:
        rotate = partial(issue, rotate=True)
        if (response := _superseding(token, rotate, now=now, using=using)) is not None:
            return response
        if (rival_used_at := _rival_used_at(token, using)) is not None:
            raise _reused(token, client, since=rival_used_at, now=now, using=using)
    if _successor_was_used(token, using):
        raise _reused(token, client, since=None, now=now, using=using)
    retry = (_RETRY, {"digest": token.digest, "since": now - RETRY_WINDOW})
    # The family first, as where siblings take turns.
    if (response := issue(claims=[(_NOTE_SIBLINGS, {"id": family.id}), retry], rotate=True)) is not None:
        return response
    since = RefreshToken.objects.using(using).filter(pk=token.pk).values_list("superseded_at", flat=True).first()
    if since is None:
        raise _refused("removed in the meantime")
    raise _reused(token, client, since=since, now=now, using=using)


def _superseding(
    token: RefreshToken, issue: Callable[..., TokenResponse | None], *, now: datetime, using: str
) -> TokenResponse | None:
    """Return what ``issue`` gives for the first use of the token; None where it, or a sibling, was used before."""
    values = {"digest": token.digest, "superseded_at": now}
    if token.family.has_siblings is False:
        return issue(claims=[(_SUPERSEDE, values)])
    with together(using):
        _TAKE_TURN.run(using, id=token.family_id)
        if connections[using].features.update_can_self_select:
            return issue(claims=[(_SUPERSEDE_FIRST, values)])
        # MySQL, unlike MariaDB, reads no table in the statement that changes it.
        return None if _rival_used_at(token, using) else issue(claims=[(_SUPERSEDE, values)])


def _rival_used_at(token: RefreshToken, using: str) -> datetime | None:
    """Return when a sibling was used."""
    if token.family.has_siblings is False:
        return None
    used = _USED_SIBLING.rows(using, family=token.family_id, generation=token.generation, digest=token.digest)
    return used[0].values[0] if used else None


def _reused(token: RefreshToken, client: Client, *, since: datetime | None, now: datetime, using: str) -> OAuthError:
    """End the family of a token that two parties have, unless it is one client's own race of the last moment."""
    if since is not None and now - since <= SIMULTANEOUS:
        return _refused("superseded by a simultaneous request")
    family = token.family
    reason = TokenFamily.Reason.REUSE
    revoke_family(family.id, reason=reason, now=now, using=using, client=client, user=family.user)
    record("reuse_detected", client=client, user=family.user, family=family.id, using=using, what="refresh_token")
    return _refused("superseded; its family is revoked")


def _slide(token: RefreshToken, *, settings: Settings, now: datetime, using: str) -> None:
    """Let a token that is kept live on while it is used: its end moves at most once a day."""
    end = now + settings.refresh_token_lifetime
    if token.family.expires_at is not None:
        end = min(end, token.family.expires_at)
    if end - token.expires_at > SLIDE:
        RefreshToken.objects.using(using).filter(pk=token.pk, expires_at__lt=end).update(expires_at=end)


def _check_alive(token: RefreshToken, family: TokenFamily, client: Client, now: datetime) -> None:
    if family.revoked_at is not None:
        raise _refused("its family is revoked")
    user = family.user
    if user is not None and not user.is_active:
        raise _refused("its user is deactivated")
    if token.expires_at <= now or not is_live(
        now, revoked_at=family.revoked_at, expires_at=family.expires_at, disabled_at=client.disabled_at, who=user
    ):
        raise _refused("expired")


def _successor_was_used(token: RefreshToken, using: str) -> bool:
    siblings = RefreshToken.objects.using(using).filter(family=token.family_id, generation=token.generation + 1)
    return siblings.filter(superseded_at__isnull=False).exists()


def _issue(
    token: RefreshToken,
    client: Client,
    *,
    settings: Settings,
    now: datetime,
    using: str,
    narrowed: Mapping[str, tuple[str, ...] | None],
    rotate: bool,
    claims: Sequence[Step] = (),
) -> TokenResponse | None:
    """Claim and issue in one transaction: whoever does not win the claim issues nothing, and gets None."""
    family = token.family
    generation = token.generation + 1 if rotate else None
    with recording(using):
        response = issue_tokens(
            family, settings=settings, now=now, using=using, claims=claims, generation=generation, **narrowed
        )
        if response is not None:
            record("tokens_refreshed", client=client, user=family.user, family=family.id, using=using)
    if response is not None:
        note_use(family.id, family.last_used_at, now=now, every=USE_NOTED_EVERY)
    return response


def _refused(why: str) -> OAuthError:
    logger.info("Refresh token refused: %s", why, extra={"event": "refresh_refused", "reason": why})
    return OAuthError(
        INVALID_GRANT,
        "The refresh token is unknown, expired, revoked, superseded, or was issued to another client; "
        "begin a new authorization.",
    )
