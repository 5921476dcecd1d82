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


def test_many_processes_cause_one_refresh(provider: Any, alice: Any, tmp_path: Path) -> None:
    provider._refresh_tokens["old-refresh-token"] = "profile"
    row = Connection.objects.create(
        user=alice,
        provider="fake",
        raw_access_token="old-access-token",
        raw_refresh_token="old-refresh-token",
        access_token_expires_at=timezone.now() - timedelta(minutes=1),
    )
    start = tmp_path / "start"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings"),
        "TEST_DATABASE": str(database.settings_dict["NAME"]),
        "TEST_PROVIDER": json.dumps(provider.settings),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    command = [sys.executable, "-m", "tests.concurrency.ask_token", str(row.pk), str(start)]
    waiting = [
        subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    try:
        for process in waiting:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready", process.communicate()[1][-2000:]
        start.touch()
        answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in waiting]
    finally:
        for process in waiting:
            process.kill()
    assert [errors[-2000:] for process, (_, errors) in zip(waiting, answers, strict=True) if process.returncode] == []
    assert [request.form["refresh_token"] for request in provider.requests] == ["old-refresh-token"]
    assert {token.strip() for token, _ in answers} == {Connection.objects.get().raw_access_token}
