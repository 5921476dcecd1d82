"""One attempt for each click, tied to the browser by a short cookie of its own and taken once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction

from ..encryption import Unreadable
from ..protocol.pkce import code_challenge
from ..secrets import digest, generate, same
from .models import ConnectAttempt, Connection
from .providers import Provider

logger = logging.getLogger("django_pkce_auth.client")

LIFETIME = timedelta(minutes=10)
PURGE_BATCH = 50


class AttemptRefused(Exception):
    """The callback belongs to no attempt that can go on; ``completed`` is the one that had ended well already."""

    def __init__(self, reason: str, *, completed: ConnectAttempt | None = None) -> None:
        super().__init__(reason)
        self.completed = completed


@dataclass(frozen=True, slots=True)
class Begun:
    """What the authorization request needs of a fresh attempt."""

    state: str
    code_challenge: str | None


def create(
    provider: Provider,
    *,
    browser: str,
    user: Any,
    purpose: str,
    redirect_uri: str,
    next_url: str,
    scope: str,
    now: datetime,
    connection: Connection | None = None,
) -> Begun:
    """Insert an attempt with its own state and verifier; a few that ran out long ago are removed after the commit."""
    using = router.db_for_write(ConnectAttempt)
    state = generate()
    verifier = None if provider.settings.rejects_pkce else generate()
    ConnectAttempt(
        state_digest=digest(state),
        browser_digest=digest(browser),
        user=user,
        connection=connection,
        created_at=now,
        expires_at=now + LIFETIME,
        purpose=purpose,
        provider=provider.slug,
        issuer=provider.issuer,
        code_verifier=verifier,
        redirect_uri=redirect_uri,
        next_url=next_url,
        scope=scope,
    ).save(force_insert=True, using=using)
    _purge_after_commit(now, using)
    return Begun(state, code_challenge(verifier) if verifier else None)


def take(*, state: str | None, browser: str | None, provider: str, user: Any, now: datetime) -> ConnectAttempt:
    """Return the attempt that this callback ends, for the first time only; raises AttemptRefused with the reason.

    ``user`` is None for an anonymous visitor. An attempt begun by one user never ends for another.
    """
    attempt = _find(state, browser, provider)
    if attempt.user_id is not None and (user is None or attempt.user_id != user.pk):
        raise AttemptRefused("the attempt was begun by another user")
    if attempt.completed_at is not None:
        raise AttemptRefused("the attempt was used before, and ended well", completed=attempt)
    if attempt.expires_at <= now:
        raise AttemptRefused("the attempt has expired")
    if isinstance(attempt.code_verifier, Unreadable):
        raise AttemptRefused("the attempt's verifier can't be decrypted")
    using = router.db_for_write(ConnectAttempt)
    fresh = ConnectAttempt.objects.using(using).filter(pk=attempt.pk, taken_at=None)
    if not fresh.update(taken_at=now, code_verifier=None):
        attempt.refresh_from_db(using=using, fields=["completed_at"])
        raise AttemptRefused("the attempt was used before", completed=attempt if attempt.completed_at else None)
    return attempt


def _find(state: str | None, browser: str | None, provider: str) -> ConnectAttempt:
    if state is None:
        raise AttemptRefused("the answer has no state")
    if browser is None:
        raise AttemptRefused("the browser sent no attempt cookie")
    rows = ConnectAttempt.objects.using(router.db_for_write(ConnectAttempt))
    attempt: ConnectAttempt | None = rows.select_related("user").filter(state_digest=digest(state)).first()
    if attempt is None or attempt.provider != provider:
        raise AttemptRefused("no attempt has this state")
    if not same(attempt.browser_digest, digest(browser)):
        raise AttemptRefused("the attempt was begun in another browser")
    return attempt


def begun_here(*, state: str | None, browser: str | None, provider: str, user: Any) -> ConnectAttempt | None:
    """Return the attempt that an answer which can't be used belongs to, if it is this visitor's own."""
    try:
        attempt = _find(state, browser, provider)
    except AttemptRefused:
        return None
    return attempt if attempt.user_id in (None, user and user.pk) else None


def complete(attempt: ConnectAttempt, *, now: datetime) -> None:
    """Note that the attempt ended well."""
    using = router.db_for_write(ConnectAttempt)
    ConnectAttempt.objects.using(using).filter(pk=attempt.pk).update(completed_at=now)


def _purge_after_commit(now: datetime, using: str) -> None:
    attempts = ConnectAttempt.objects.using(using)

    # No partial: Django 5.2 asks a callback that failed for its __qualname__.
    def purge() -> None:
        expired = list(attempts.filter(expires_at__lt=now - LIFETIME).values_list("pk", flat=True)[:PURGE_BATCH])
        if expired:
            attempts.filter(pk__in=expired).delete()

    # Within the caller's transaction it would lock rows to its end, and whoever begins an attempt then would wait.
    transaction.on_commit(purge, using=using, robust=True)
