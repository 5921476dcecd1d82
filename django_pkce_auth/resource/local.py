"""Tokens that this project issued: their rows decide, whatever the token looks like."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from django.db import router, transaction
from django.db.models import Q
from django.utils.functional import SimpleLazyObject

from ..conf import Settings
from ..server.live_tokens import LiveToken, find_live_token_with_client
from ..server.models import Client, TokenFamily
from . import verified
from .grant import Grant

USE_INTERVAL = timedelta(minutes=5)


def find_local_grant(raw_token: str, *, settings: Settings, now: datetime) -> Grant | None:
    """Return what the token allows: valid is it AND its family AND its client AND its user. One query."""
    if (grant := verified.recall(raw_token, settings=settings, now=now)) is not None:
        return grant
    token = find_live_token_with_client(raw_token, now=now)
    if token is None:
        return None
    _note_use(token, now)
    verified.keep(raw_token, token, settings=settings, now=now)
    return Grant(
        client_id=token.client_id,
        scopes=token.scopes,
        expires_at=token.columns.expires_at,
        client=cast(Client, SimpleLazyObject(token.client)),
        user=token.user,
        service_user=token.service_user,
        subject=None if token.user is None else str(token.user.pk),
        resources=token.resources,
    )


def _note_use(token: LiveToken, now: datetime) -> None:
    """Keep when the access was last used, at most once in five minutes.

    After the commit, where the request has a transaction: a slow view must not hold a lock on what every request of
    this app would then wait for. No harm is done where the note is lost.
    """
    stale = now - USE_INTERVAL
    last_used_at = token.columns.family__last_used_at
    if last_used_at is not None and last_used_at > stale:
        return
    using = router.db_for_write(TokenFamily)
    unnoted = TokenFamily.objects.using(using).filter(
        Q(last_used_at=None) | Q(last_used_at__lte=stale), pk=token.columns.family_id
    )

    def note() -> None:
        unnoted.update(last_used_at=now)

    transaction.on_commit(note, using=using, robust=True)
