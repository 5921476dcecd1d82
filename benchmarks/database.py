"""Databases of our own on the PostgreSQL at hand: made for one run and dropped after it; names begin with ``bench_``.

PGHOST, PGPORT, PGUSER and PGPASSWORD say where it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


def connect(name: str = "postgres") -> psycopg.Connection[Any]:
    return psycopg.connect(
        dbname=name,
        host=os.environ.get("PGHOST", "127.0.0.1"),
        port=os.environ.get("PGPORT", "5432"),
        user=os.environ.get("PGUSER", "postgres"),
        password=os.environ.get("PGPASSWORD", ""),
        application_name="bench",
        autocommit=True,
    )


@contextmanager
def database(name: str) -> Iterator[str]:
    """Make an empty database, drop it at the end; yield what BENCH_DATABASE takes."""
    name = f"bench_{name}"
    with connect() as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"postgres:{name}"
    finally:
        with connect() as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
