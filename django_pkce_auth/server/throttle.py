"""A brake on failures, counted in Django's cache; what succeeds costs nothing here.

Counted are failures of one client, or of one address where the client is unknown: several customers behind one
address, or a busy client, are never held up by each other. A request that proves itself is always served, even while
the brake is on, so nobody can lock a client out by failing in its name; the secrets have 128 bits and more, and no
number of guesses finds one.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from django.core.cache import cache

from ..secrets import digest

logger = logging.getLogger("django_pkce_auth.server")

WINDOW_SECONDS: Final = 300
FAILURES: Final = 100
"""Failures of one client or address that are answered in full within a window of five minutes."""
USER_CODE_FAILURES: Final = 10
"""Wrong device codes that one user may enter within a window: these are short (RFC 8628 §5.1)."""


def count_failure(kind: str, who: str, *, limit: int) -> int | None:
    """Count a failure; return None within ``limit``, else the seconds until the window ends."""
    window, elapsed = divmod(int(time.time()), WINDOW_SECONDS)
    key = f"pkce_auth:{kind}:{digest(who).hex()[:32]}:{window}"
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        count = cache.incr(key)
    except Exception:
        # A cache that is down, or that just forgot the key, must not take the endpoint down with it.
        logger.warning("The cache did not count a failure", exc_info=True, extra={"event": "throttle_unavailable"})
        return None
    return WINDOW_SECONDS - elapsed if count > limit else None


def is_blocked(kind: str, who: str, *, limit: int) -> bool:
    """True where ``limit`` is used up, or can't be known: for guesses whose success must be stopped too."""
    key = f"pkce_auth:{kind}:{digest(who).hex()[:32]}:{int(time.time()) // WINDOW_SECONDS}"
    try:
        # A cache that is full, or whose leader is away while replicas answer, reads well and counts nothing.
        cache.add(key, 0, WINDOW_SECONDS)
        return int(cache.get(key, 0)) >= limit
    except Exception:
        logger.exception("The cache does not count failures", extra={"event": "throttle_unavailable"})
        return True
