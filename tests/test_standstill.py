"""Tests that the machine kept from running are run again, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STOPS = """
import os, signal, subprocess

def test_stopped():
    subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
    with open("tries", "a") as tries:
        tries.write("x")
    assert os.path.getsize("tries") == RIGHT_AT
"""
FAILS = """
import time

def test_slow():
    time.sleep(1.5)
    open("tries", "a").write("x")
    assert False
"""
SETS_THE_CLOCK = """
import time

def test_later(monkeypatch):
    real, sleeps = time.monotonic, []
    monkeypatch.setattr(time, "monotonic", lambda: real() + 3600)
    monkeypatch.setattr(time, "sleep", sleeps.append)
    end = real() + 0.5
    while real() < end:
        pass
    open("tries", "a").write("x")
    assert sleeps
"""


def run(directory: Path, program: str) -> tuple[str, int]:
    """Return the last line of pytest's own output, and how often the program's test ran."""
    (directory / "test_it.py").write_text(program)
    plugins = ["-p", "pytest_rerunfailures", "-p", "tests.standstill"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(directory), *plugins, "test_it.py"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.splitlines()[-1], (directory / "tries").stat().st_size


@pytest.mark.parametrize(
    ("right_at", "outcome", "tries"),
    [(1, "1 passed in", 1), (2, "1 passed, 1 rerun in", 2), (4, "1 failed, 2 rerun in", 3)],
)
def test_failure_while_the_machine_stood_still_is_tried_again(
    right_at: int, outcome: str, tries: int, tmp_path: Path
) -> None:
    last, ran = run(tmp_path, STOPS.replace("RIGHT_AT", str(right_at)))
    assert last.startswith(outcome), last
    assert ran == tries


@pytest.mark.parametrize("program", [FAILS, SETS_THE_CLOCK])
def test_failure_while_the_machine_ran_stays_one(program: str, tmp_path: Path) -> None:
    last, ran = run(tmp_path, program)
    assert last.startswith("1 failed in"), last
    assert ran == 1
