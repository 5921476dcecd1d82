"""When what one authorization gave was last used: shown to its user, and noted so rarely that it costs nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import router, transaction
from django.db.models import Q

from .models import TokenFamily

USE_INTERVAL: Final = timedelta(minutes=5)


def note_use(family_id: int, last_used_at: datetime | None, *, now: datetime, every: timedelta = USE_INTERVAL) -> None:
    """Keep that it was used at ``now``, where ``last_used_at``, which was read, is not later than ``every`` ago.

    After the commit, where the request has a transaction: a slow view must not hold a lock on what every request of
    this app would then wait for. No harm is done where the note is lost.
    """
    stale = now - every
    if last_used_at is not None and last_used_at > stale:
        return
    using = router.db_for_write(TokenFamily)
    unnoted = TokenFamily.objects.using(using).filter(Q(last_used_at=None) | Q(last_used_at__lte=stale), pk=family_id)

    def note() -> None:
        unnoted.update(last_used_at=now)

    transaction.on_commit(note, using=using, robust=True)
