"""Servers and client programs as processes of their own, none of which outlives the test that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import httpx2

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = HERE / "node"
START_SECONDS = 120
STOP_SECONDS = 30
TALK_SECONDS = 300

Command = Sequence[str | Path]


@contextmanager
def server(command: Command, *, url: str, log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server while the block lasts; each of ours ends when its standard input does."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(url, process, log)
        yield
    finally:
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"{url} ended with status {process.returncode}:\n{log.read_text()}"
        try:
            httpx2.get(url, timeout=2, trust_env=False)
        except httpx2.HTTPError:
            assert time.monotonic() < end, f"{url} did not answer within {START_SECONDS} s:\n{log.read_text()}"
            time.sleep(0.1)
        else:
            return


def run(command: Command, *, environment: Mapping[str, str]) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def talk(program: Path, setup: Mapping[str, Any], browse: Callable[[Mapping[str, str]], str]) -> dict[str, Any]:
    """Run a client program and return what it reports.

    A line of JSON each: it gets ``setup``; for each ``{"browse": url, "decision": …}`` that it prints it gets the
    address where the browser landed; ``{"report": …}`` is its last line.
    """
    pipe = subprocess.PIPE
    command = ["node" if program.suffix == ".mjs" else sys.executable, program]
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        watchdog = Timer(TALK_SECONDS, process.kill)
        watchdog.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            said: dict[str, Any] = {}
            answer: object = setup
            while "report" not in said:
                process.stdin.write(json.dumps(answer) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    break
                said = json.loads(line)
                answer = browse(said) if "browse" in said else None
            _, complaints = process.communicate()
        finally:
            watchdog.cancel()
            process.kill()
    assert "report" in said, f"{program.name} ended without a report:\n{complaints}"
    assert process.returncode == 0, f"{program.name} ended with status {process.returncode}:\n{complaints}"
    report: dict[str, Any] = said["report"]
    return report
