"""Tokens that this project issued: their rows decide, whatever the token looks like."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Q

from ..conf import Settings
from ..server.models import AccessToken, TokenFamily
from . import verified
from .grant import Grant

USE_INTERVAL = timedelta(minutes=5)


def find_local_grant(raw_token: str, *, settings: Settings, now: datetime) -> Grant | None:
    """Return what the token allows: valid is it AND its family AND its client AND its user. One query."""
    if (grant := verified.recall(raw_token, settings=settings, now=now)) is not None:
        return grant
    tokens = AccessToken.objects.by_raw(raw_token)
    token = tokens.select_related("family__client__service_user", "family__user").first()
    if token is None or not token.is_live(now):
        return None
    family = token.family
    _note_use(family, now)
    verified.keep(raw_token, token, settings=settings, now=now)
    return Grant(
        client_id=family.client.client_id,
        scopes=token.scopes,
        expires_at=token.expires_at,
        client=family.client,
        user=family.user,
        service_user=family.client.service_user,
        subject=None if family.user is None else str(family.user.pk),
        resources=token.resources,
    )


def _note_use(family: TokenFamily, now: datetime) -> None:
    """Keep when the access was last used, at most once in five minutes.

    After the commit, where the request has a transaction: a slow view must not hold a lock on what every request of
    this app would then wait for. No harm is done where the note is lost.
    """
    stale = now - USE_INTERVAL
    if family.last_used_at is not None and family.last_used_at > stale:
        return
    using = router.db_for_write(TokenFamily)
    unnoted = TokenFamily.objects.using(using).filter(Q(last_used_at=None) | Q(last_used_at__lte=stale), pk=family.pk)

    def note() -> None:
        unnoted.update(last_used_at=now)

    transaction.on_commit(note, using=using, robust=True)
