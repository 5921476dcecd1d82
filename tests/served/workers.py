"""Server processes on the database of the test, none of which outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connections

ROOT = Path(__file__).resolve().parents[2]


def environment(changes: Mapping[str, Any] | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a process that works on this test's database with ``changes`` to the settings."""
    ours = {alias: {"NAME": str(connections[alias].settings_dict["NAME"])} for alias in connections}
    served = dict(changes or {})
    served["DATABASES"] = {
        alias: {**ours.get(alias, {}), **served.get("DATABASES", {}).get(alias, {})}
        for alias in {*ours, *served.get("DATABASES", {})}
    }
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.served.settings",
        "SERVED_BASE": os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings"),
        "SERVED": json.dumps(served),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        **more,
    }


@dataclass
class Worker:
    """One server process."""

    number: int
    port: int


class Project:
    """A project that is loaded once, and from which server processes are started."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.served.worker"],
                cwd=env.get("SERVED_ROOT", ROOT),
                env=env,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def start(self) -> Worker:
        """Start a server process; it takes requests when this returns."""
        return Worker(*map(int, self._tell("start").split()))

    def died(self, worker: Worker) -> bool:
        """Wait for the end of a process; whether ``kill -9`` was it."""
        return int(self._tell(f"wait {worker.number}")) == signal.SIGKILL

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _tell(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, self.log.read_text()[-3000:]
        return said


@contextmanager
def project(log: Path, env: Mapping[str, str]) -> Iterator[Project]:
    """Load the project while the block lasts; its error output goes to ``log``."""
    loaded = Project(log, env)
    try:
        yield loaded
    finally:
        loaded.close()


@contextmanager
def serving(number: int, log: Path, env: Mapping[str, str]) -> Iterator[list[Worker]]:
    """Run ``number`` server processes while the block lasts."""
    with project(log, env) as loaded:
        yield [loaded.start() for _ in range(number)]
