"""A provider that said when to ask again (429 or 503 with ``Retry-After``) is not asked earlier, by no process.

Kept in Django's cache for each connection by itself: what a provider limits may be one of its users.
"""

from __future__ import annotations

import logging
from datetime import datetime
from math import ceil
from typing import Final

from django.core.cache import cache

from .models import Connection

logger = logging.getLogger("django_pkce_auth.client")

LONGEST_SECONDS: Final = 60
"""However long the provider said, after this it is asked again: it may have been wrong, or have changed its mind."""


def note(connection: Connection, seconds: int, *, now: datetime) -> None:
    """Keep that the provider asked for so many seconds without a refresh of these tokens."""
    seconds = min(seconds, LONGEST_SECONDS)
    try:
        cache.set(_key(connection), now.timestamp() + seconds, seconds)
    except Exception:
        # Without it the provider is asked too early, and says so again.
        logger.warning("The cache did not keep a provider's wait", exc_info=True, extra={"event": "wait_not_kept"})


def seconds_left(connection: Connection, *, now: datetime) -> int:
    """Return for how long the provider does not want to be asked for new tokens, 0 where it may be."""
    try:
        until: float | None = cache.get(_key(connection))
        return 0 if until is None else min(max(0, ceil(until - now.timestamp())), LONGEST_SECONDS)
    except Exception:
        return 0


def _key(connection: Connection) -> str:
    # With other tokens, from connecting again, the provider may be asked at once.
    return f"pkce_auth:wait:{connection.pk}:{connection.updated_at.timestamp()}"
