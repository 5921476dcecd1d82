"""The cursor on which a statement runs: one that has PostgreSQL prepare it, where the project lets the driver prepare.

To parse and plan a lookup costs PostgreSQL several times what it costs to run it. Django lets psycopg prepare nothing
unless ``OPTIONS["prepare_threshold"]`` says after how many uses, as a pooler between them may lend a connection to
another client after each transaction; and the parameters of its cursors are part of the text, which is another one each
time. So where that is set, the statements of this package, which are few and the same each time, are sent with their
parameters beside them.
"""

from __future__ import annotations

from typing import Any, Final

_STALE: Final = frozenset({"0A000", "26000", "42P05"})
"""A result has other columns since it was prepared, as after a migration; or another client's statements are there."""


def open_cursor(connection: Any) -> Any:
    """Return ``connection.cursor()``: one that prepares, but for two cases.

    Within a transaction a prepared statement that went stale would undo all of it, and Django's log of queries
    (``DEBUG``) finds no text.
    """
    raw = connection.connection
    if getattr(raw, "prepare_threshold", None) is None or connection.in_atomic_block or connection.queries_logged:
        return connection.cursor()
    from django.db.backends.postgresql.base import Cursor, ServerBindingCursor

    if raw.cursor_factory is not Cursor:
        return connection.cursor()
    # By way of the public method, which whoever watches a project's queries has wrapped.
    raw.cursor_factory = ServerBindingCursor
    try:
        return connection.cursor()
    finally:
        raw.cursor_factory = Cursor


def went_stale(connection: Any, error: Exception) -> bool:
    """True where the statement is to be run again; then nothing is prepared on this connection any more."""
    raw = connection.connection
    if connection.in_atomic_block or getattr(raw, "prepare_threshold", None) is None:
        return False
    if getattr(error.__cause__, "sqlstate", None) not in _STALE:
        return False
    raw.prepare_threshold = None
    return True
