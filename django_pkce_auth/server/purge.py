"""What of the server's tables expires, and the little of it that goes with each issuance.

A deployment that never runs ``manage.py pkce_purge`` stays small as well. Consents and the audit log are never removed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import router, transaction
from django.db.models import Max, Min

from ..expiry import Expiring, delete_empty
from ..outages import persistently
from .models import AccessToken, AuthorizationCode, DeviceCode, RefreshToken, TokenFamily

# A code that is presented again ends what it gave, also after it expired. Superseded refresh tokens need no more time:
# they stay until their own expiry, and a family with them.
_CODES_KEPT_FOR: Final = timedelta(days=1)

TABLES: Final = (
    Expiring(AuthorizationCode, kept_for=_CODES_KEPT_FOR, holder="family"),
    Expiring(DeviceCode, kept_for=_CODES_KEPT_FOR, holder="family"),
    Expiring(AccessToken, holder="family"),
    Expiring(RefreshToken, holder="family"),
)
ONE_IN: int = 50
"""One issuance, or device that begins, in so many removes what expired; none where it is 0."""
ROWS: Final = 100
"""How many rows of each table it removes: twice as many as those issuances make, so that a backlog shrinks."""

KEYS: Final = 20_000
"""How many keys of families one look covers, whether there is anything behind them or not."""


def purge_sometimes(digest: bytes, *, now: datetime, using: str) -> None:
    """After the commit of one issuance in ``ONE_IN``, remove a little; what fails is logged and harms nobody.

    ``digest`` is that of the token or the device code that was issued: as good as drawn.
    """
    if not ONE_IN or int.from_bytes(digest[:4]) % ONE_IN:
        return

    # No partial: Django 5.2 asks a callback that failed for its __qualname__, and fails over one that has none.
    def purge() -> None:
        for table in TABLES:
            table.purge(limit=ROWS, now=now)

    transaction.on_commit(purge, using=using, robust=True)


def family_keys() -> tuple[int, int]:
    """Return the least and the highest key of a family that there is; two zeros where there is none."""
    keys = TokenFamily.objects.using(router.db_for_write(TokenFamily)).aggregate(least=Min("pk"), highest=Max("pk"))
    return keys["least"] or 0, keys["highest"] or 0


def purge_families(*, after: int, limit: int) -> tuple[int, int]:
    """Look at up to ``limit`` families with the next keys, and delete those that hold nothing.

    Returns the key to go on ``after``, and how many were deleted. Families go with the last of their tokens; this
    finds what two purges at the same moment left to each other. It never looks further than ``KEYS``: what was deleted
    a moment ago stays in the database's index for a while, and to pass over a million of those takes its time.
    """
    using = router.db_for_write(TokenFamily)
    families = TokenFamily.objects.using(using).order_by("pk").filter(pk__gt=after, pk__lte=after + KEYS)
    keys = list(families.values_list("pk", flat=True)[:limit])
    if not keys:
        return after + KEYS, 0

    def work() -> int:
        with transaction.atomic(using=using):
            return delete_empty(families.filter(pk__lte=keys[-1]))

    deleted = persistently(work)
    return keys[-1] if len(keys) == limit else after + KEYS, deleted
