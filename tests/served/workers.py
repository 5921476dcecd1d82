"""Server processes on the database of the test, none of which outlives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connections

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Worker:
    process: subprocess.Popen[str]
    port: int

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self.process.kill()
        self.process.wait()


def environment(changes: Mapping[str, Any] | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a process that works on this test's database with ``changes`` to the settings."""
    databases = {alias: {"NAME": str(connections[alias].settings_dict["NAME"])} for alias in connections}
    served = {"DATABASES": databases, **(changes or {})}
    base = os.environ.get("SERVED_BASE") or os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings")
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.served.settings",
        "SERVED_BASE": base,
        "SERVED": json.dumps(served),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        **more,
    }


def start(log: Path, env: Mapping[str, str]) -> Worker:
    """Start a server process; it takes requests when this returns."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.served.worker"],
            cwd=ROOT,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, log.read_text()[-3000:]
    return Worker(process, int(port))


def stop(worker: Worker) -> None:
    try:
        worker.process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        worker.kill()


@contextmanager
def serving(number: int, log: Path, env: Mapping[str, str]) -> Iterator[list[Worker]]:
    """Run ``number`` server processes while the block lasts; their error output goes to ``log``."""
    workers: list[Worker] = []
    try:
        for _ in range(number):
            workers.append(start(log, env))
        yield workers
    finally:
        for worker in workers:
            stop(worker)
