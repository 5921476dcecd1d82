"""``python -m benchmarks.fill SESSIONS USERS AGE [FILE …]``: a side's PostgreSQL database, with so many sessions.

The side's own code makes one session, over its endpoints; the others are that session's rows again, each with its own
keys, digests and times, so that every column holds what the package writes there. ``AGE`` is how many seconds ago they
began; each begins a millisecond after the one before. What follows is as with ``benchmarks.prepare``.

``BENCH_FAST=1`` makes the indexes afterwards: quicker, but their pages are fuller than life makes them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.prepare import prepare
from benchmarks.project import make_tables, start

BATCH = 250_000


def main(sessions: int, users: int, age: int, *wanted: str) -> None:
    content = start()
    from django.db import connection

    make_tables()
    secrets = content.populate()
    if sessions:
        content.one_session(secrets)
        with connection.cursor() as cursor:
            _fill(cursor, content, sessions, users, age)
    if wanted:
        prepare(content, secrets, wanted[0], wanted[1:])


def _fill(cursor: Any, content: Any, sessions: int, users: int, age: int) -> None:
    # Neither the foreign keys' triggers nor the log's safety play a part in what is measured later.
    cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    _clone(cursor, "auth_user", {"id": "i + 1", "username": "'user-' || i"}, 1, users - 1, 0)
    tables = content.columns_of_session(f"i % {users} + 1")
    with _without_indexes(cursor, list(tables) if os.environ.get("BENCH_FAST") else []):
        for first in range(1, sessions, BATCH):
            last = min(first + BATCH, sessions) - 1
            for table, changed in tables.items():
                _clone(cursor, table, changed, first, last, age)
    for table in ("auth_user", *tables):
        _advance_sequence(cursor, table)
    cursor.execute("SET session_replication_role = DEFAULT; SET synchronous_commit = on")
    cursor.execute("VACUUM ANALYZE")


def _clone(cursor: Any, table: str, changed: Mapping[str, str], first: int, last: int, age: int) -> None:
    """Insert the table's first row again for each ``i``, with the columns of ``changed`` as SQL says; times move on."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
        [table],
    )
    columns = dict(cursor.fetchall())
    missing = changed.keys() - columns.keys()
    if missing:
        raise SystemExit(f"{table} has no column {', '.join(missing)}")
    shift = f"make_interval(secs => i * 0.001 - {age})"
    moved = {name: f"t.{name} + {shift}" for name, kind in columns.items() if kind == "timestamp with time zone"}
    values = [changed.get(name) or moved.get(name) or f"t.{name}" for name in columns]
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM (SELECT * FROM {table} LIMIT 1) t, generate_series({first}, {last}) i"
    )


@contextmanager
def _without_indexes(cursor: Any, tables: list[str]) -> Iterator[None]:
    """Drop the tables' indexes, but keys that others point to, and make them again."""
    cursor.execute(
        "SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c "
        "WHERE c.contype IN ('p', 'u') AND c.conrelid::regclass::text = ANY(%s) "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.conindid)",
        [tables],
    )
    keys = cursor.fetchall()
    for table, name, _ in keys:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i "
        "WHERE i.indrelid::regclass::text = ANY(%s) "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
        [tables],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET maintenance_work_mem = '512MB'")
    for table, name, definition in keys:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        cursor.execute(definition)


def _advance_sequence(cursor: Any, table: str) -> None:
    cursor.execute(
        "SELECT pg_get_serial_sequence(%s, column_name) FROM information_schema.columns "
        "WHERE table_name = %s AND column_name = 'id'",
        [table, table],
    )
    found = cursor.fetchone()
    if found and found[0]:
        cursor.execute(f"SELECT setval('{found[0]}', max(id)) FROM {table}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
