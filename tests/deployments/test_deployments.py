"""The whole flow in projects that are set up otherwise, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = (
    "as it is",
    "UUID key in a table named t1",
    "string key in a table with ON in its name",
    "parent's key",
    "key beside a parent's",
    "relation as the key",
    "key of a field of one's own",
    "no admin",
    "second database",
    "ATOMIC_REQUESTS",
    "cookie sessions",
    "cookie CSRF in the session",
)
ON_POSTGRESQL = ("prepared statements", "parameters bound by the server")


@pytest.mark.parametrize("deployment", DEPLOYMENTS + ON_POSTGRESQL * (connection.vendor == "postgresql"))
def test_flow_works_in_a_project_that_is_set_up_otherwise(deployment: str) -> None:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.deployments.settings",
        "DEPLOYMENT": deployment,
        "DEPLOYMENT_BASE": os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    command = [sys.executable, "-W", "error", "-m", "tests.deployments.walk"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("walked")
