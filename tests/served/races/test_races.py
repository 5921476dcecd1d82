"""Races over real connections: server processes, driver processes, and the database in between decides.

``RACES`` is how many of each are run; ``tox run -e races-postgres`` and its like run 10,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.served.races.entries import RACES
from tests.served.workers import ROOT, environment, serving

NUMBER = int(os.environ.get("RACES", "100"))
WORKERS = 4
DRIVERS = 3


@pytest.mark.parametrize("race", RACES)
def test_nothing_is_lost_or_doubled(race: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "workers.log"
    with providers(DRIVERS if race == "connect" else 0) as settings:
        entries = {f"fake{index}": entry for index, entry in enumerate(settings)}
        with serving(WORKERS, log, environment({"PKCE_AUTH": {"PROVIDERS": entries}})) as workers:
            ports = [worker.port for worker in workers]
            told = {"race": race, "ports": ports, "providers": [entry["issuer"] for entry in settings]}
            reports = drive(told, environment())
    outcomes = sum((Counter(report["outcomes"]) for report in reports), Counter[str]())
    seconds = max(report["seconds"] for report in reports)
    shown = ", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items()))
    with capsys.disabled():
        print(f"\n{race}: {sum(report['races'] for report in reports)} races in {seconds:.0f} s ({shown})")
    assert [report["faults"] for report in reports] == [[]] * DRIVERS, log.read_text()[-3000:]
    assert sum(outcomes.values()) >= NUMBER
    assert log.read_text() == ""


@contextmanager
def providers(number: int) -> Iterator[list[dict[str, Any]]]:
    """Run fake providers, one for each driver; yield their entries for the settings."""
    if not number:
        yield []
        return
    command, pipe = [sys.executable, "-m", "tests.served.races.provider", str(number)], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment(), text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def drive(told: Mapping[str, Any], env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Share the races among driver processes and return their reports."""
    share = {**told, "drivers": DRIVERS, "races": -(-NUMBER // DRIVERS)}
    command = [sys.executable, "-m", "tests.served.races.drive"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, text=True, input=json.dumps(share) + "\n", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reports: list[dict[str, Any]] = json.loads(done.stdout)
    return reports
