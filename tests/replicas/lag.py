"""Two real databases, of which the second is a copy of the first as it was at some moment."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from django.conf import settings
from django.db import connections

PRIMARY, REPLICA = ("default", "replica")


def make_empty() -> None:
    """Make the first database anew; on SQLite it is a file that is not there yet."""
    if connections[PRIMARY].vendor == "postgresql":
        _run_postgresql(f"DROP DATABASE IF EXISTS {_name(REPLICA)}", f"DROP DATABASE IF EXISTS {_name(PRIMARY)}")
        _run_postgresql(f"CREATE DATABASE {_name(PRIMARY)}")


def catch_up() -> None:
    """Let the replica be what the primary is now; from here on it lags."""
    connections.close_all()
    if connections[PRIMARY].vendor == "postgresql":
        _run_postgresql(
            f"DROP DATABASE IF EXISTS {_name(REPLICA)}",
            f"CREATE DATABASE {_name(REPLICA)} TEMPLATE {_name(PRIMARY)}",
        )
        return
    with closing(sqlite3.connect(_name(PRIMARY))) as source, closing(sqlite3.connect(_name(REPLICA))) as copy:
        source.backup(copy)


def remove() -> None:
    connections.close_all()
    if connections[PRIMARY].vendor == "postgresql":
        _run_postgresql(f"DROP DATABASE IF EXISTS {_name(REPLICA)}", f"DROP DATABASE IF EXISTS {_name(PRIMARY)}")


def _name(alias: str) -> str:
    return str(settings.DATABASES[alias]["NAME"])


def _run_postgresql(*statements: str) -> None:
    other: Any = connections[PRIMARY]
    with other._nodb_cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
