"""What decides about a token, whichever way its row was read."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def identifiers(resource: str | None) -> tuple[str, ...]:
    """Return the identifiers that a column ``resource`` names (RFC 8707); none: this project itself."""
    return tuple((resource or "").split())


def is_live(
    now: datetime, *, revoked_at: datetime | None, expires_at: datetime | None, disabled_at: datetime | None, who: Any
) -> bool:
    """The rule behind every token: True unless its family, its client, or ``who`` it acts for ended it."""
    if revoked_at is not None or (expires_at is not None and expires_at <= now) or disabled_at is not None:
        return False
    return who is None or bool(who.is_active)
