"""Work that a rollback of the caller's transaction must not take back.

A refresh spends the old refresh token at the provider. If the new one were stored in the caller's transaction, a
rollback (an exception in a view under ``ATOMIC_REQUESTS``) would leave a token that is worth nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import DatabaseError, router, transaction
from django.db import connections as databases
from django.db.models import QuerySet

from .models import Connection

logger = logging.getLogger("django_pkce_auth.client")

PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.0)
"""Before a locked row is looked at again: other requests hold it for a moment, the caller's transaction to its end."""

Result = TypeVar("Result")


def apart(connection: Connection, work: Callable[[], Result]) -> Result | None:
    """Do ``work`` on the row of ``connection`` in a transaction of its own, if the caller is in one.

    None where there is no need, and where it can't be: the caller's transaction made the row or holds its lock, no
    second connection can be had, or the database (SQLite) has one writer at a time and no way to tell whether a row is
    locked.
    """
    using = router.db_for_write(Connection)
    database = databases[using]
    if not (database.in_atomic_block and database.features.has_select_for_update_nowait):
        return None
    # What makes it this very row: a project that keeps each tenant's tables apart may have others with the same key.
    names = ("pk", "user_id", "provider", "created_at")
    row = Connection.objects.using(using).filter(**{name: getattr(connection, name) for name in names})
    # A thread has database connections of its own.
    with ThreadPoolExecutor(max_workers=1) as executor:
        result = executor.submit(copy_context().run, _work, row, using, work).result()
    if result is None:
        logger.warning("Connection %s is refreshed inside a transaction: a rollback loses its tokens", connection.pk)
    return result


def _work(row: QuerySet[Connection], using: str, work: Callable[[], Result]) -> Result | None:
    try:
        # A router may go by the thread.
        return work() if router.db_for_write(Connection) == using and _is_free(row, using) else None
    finally:
        databases.close_all()


def _is_free(row: QuerySet[Connection], using: str) -> bool:
    try:
        # Asked for once: a pool that has none left says so only after half a minute.
        databases[using].ensure_connection()
    except DatabaseError:
        return False
    for pause in PAUSES_SECONDS:
        try:
            with transaction.atomic(using=using):
                return bool(row.select_for_update(nowait=True).values_list("pk"))
        except DatabaseError:
            time.sleep(pause)
    return False
