"""How a client program and the test talk: a line of JSON each, on standard input and output. See ``processes.py``."""

from __future__ import annotations

import json
import sys
from typing import Any

setup: dict[str, Any] = json.loads(sys.stdin.readline())


def browse(url: str, decision: str) -> str:
    """Have the person open the URL and decide; return the URL that the browser was sent back to."""
    _say({"browse": url, "decision": decision})
    landed: str = json.loads(sys.stdin.readline())
    return landed


def report(walk: dict[str, Any]) -> None:
    _say({"report": walk})


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)
