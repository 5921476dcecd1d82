"""``python -m benchmarks.size [SESSIONS]``: bytes of PostgreSQL a session, table by table and index by index.

A session is one authorization with one access and one refresh token. Every index is filled row by row, as in life, so
that its pages are as full as they are there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.database import connect, database
from benchmarks.report import keep
from benchmarks.sides import TITLES, python_of

ROOT = Path(__file__).resolve().parents[1]
GOAL = 600
_SIZES = """
    SELECT t.relname, '', pg_table_size(t.oid), t.reltuples::bigint
    FROM pg_class t WHERE t.relkind = 'r' AND t.relname = ANY(%(tables)s)
    UNION ALL
    SELECT t.relname, x.relname || ': ' || pg_get_indexdef(x.oid), pg_relation_size(x.oid), 0
    FROM pg_class t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE t.relname = ANY(%(tables)s)
    ORDER BY 1, 2
"""
TABLES = {
    "ours": ["pkce_auth_tokenfamily", "pkce_auth_accesstoken", "pkce_auth_refreshtoken"],
    "floor": ["floor_family", "floor_accesstoken", "floor_refreshtoken"],
    "toolkit": ["oauth2_provider_accesstoken", "oauth2_provider_refreshtoken"],
    "authlib": ["authlib_site_oauth2token"],
}


def fill(side: str, name: str, sessions: int, users: int, age: int = 0, prepare: tuple[str, ...] = ()) -> None:
    """Make a side's tables in the database, and ``sessions`` of ``users`` in them; ``prepare`` as its arguments say."""
    command = [python_of(side) or "", "-m", "benchmarks.fill", str(sessions), str(users), str(age), *prepare]
    environment = {"BENCH_SIDE": side, "BENCH_DATABASE": name, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=os.environ | environment, cwd=ROOT, check=True)


def measure(side: str, sessions: int, users: int) -> float:
    """Print each table and index, and return the bytes a session."""
    with database(f"size_{side}") as name:
        fill(side, name, sessions, users)
        with connect(name.removeprefix("postgres:")) as connection:
            rows = connection.execute(_SIZES, {"tables": TABLES[side]}).fetchall()
    table = Table(title=f"{TITLES[side]}: bytes a session, {sessions:,} sessions of {users:,} users")
    for heading in ("table", "index", "bytes"):
        table.add_column(heading, justify="right" if heading == "bytes" else "left", overflow="fold")
    for relation, index, size, _ in rows:
        table.add_row(relation, index.split(": ")[0] + index.partition(" USING")[2], f"{size / sessions:.1f}")
    total = sum(row[2] for row in rows) / sessions
    table.add_row("", "all", f"{total:.1f}")
    Console(width=140).print(table)
    return total


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, help="as many as sessions, which costs most")
    parser.add_argument("--side", action="append", choices=TABLES)
    options = parser.parse_args(arguments)
    sides = options.side or [side for side in TABLES if python_of(side)]
    users = options.users or options.sessions
    totals = {side: measure(side, options.sessions, users) for side in sides}
    keep("size", {"title": "Bytes a session", "sessions": options.sessions, "users": users, "totals": totals})


if __name__ == "__main__":
    main()
