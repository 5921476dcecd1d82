"""Reads go to a replica that lags: what was just given works, and what just ended does not (pain 24)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def test_replica_that_lags_is_never_believed(tmp_path: Path) -> None:
    names = [str(tmp_path / "primary.sqlite3"), str(tmp_path / "replica.sqlite3")]
    base = "tests.settings"
    if connection.vendor == "postgresql":
        base = "tests.settings_postgres"
        names = [f"{os.environ.get('PGDATABASE', 'pkce_auth')}_{which}" for which in ("primary", "replica")]
    if connection.vendor == "mysql":
        pytest.skip("on SQLite and on PostgreSQL")
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.replicas.settings",
        "REPLICAS_BASE": base,
        "REPLICAS_PRIMARY": names[0],
        "REPLICAS_REPLICA": names[1],
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    command = [sys.executable, "-W", "error", "-m", "tests.replicas.walk"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.split() == scenes()


def scenes() -> list[str]:
    """The names of the scenes, as the walk lists them."""
    tree = ast.parse((ROOT / "tests/replicas/walk.py").read_text())
    (listed,) = [node.value for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert isinstance(listed, ast.Tuple)
    return [each.id for each in listed.elts if isinstance(each, ast.Name)]
