"""Many processes want one connection's token at the same moment: the provider is asked once (pain 9)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from django_pkce_auth.client.models import Connection
from django_pkce_auth.testing.server import serve
from tests.concurrency.race import PATIENCE_SECONDS

PROCESSES = 32
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def provider(settings: Any) -> Iterator[Any]:
    server = serve(0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.provider  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_many_processes_cause_one_refresh(provider: Any, alice: Any) -> None:
    provider._refresh_tokens["old-refresh-token"] = "profile"
    row = Connection.objects.create(
        user=alice,
        provider="fake",
        raw_access_token="old-access-token",
        raw_refresh_token="old-refresh-token",
        access_token_expires_at=timezone.now() - timedelta(minutes=1),
    )
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings"),
        "TEST_DATABASE": str(database.settings_dict["NAME"]),
        "TEST_PROVIDER": json.dumps(provider.settings),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    asked = subprocess.run(
        [sys.executable, "-m", "tests.concurrency.ask_token", str(row.pk), str(PROCESSES)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr[-2000:]
    assert [request.form["refresh_token"] for request in provider.requests] == ["old-refresh-token"]
    assert asked.stdout.split() == [Connection.objects.get().raw_access_token] * PROCESSES
