"""``python -m benchmarks.issuing``: redeem a code twenty times a second until the standard input ends.

Prints a line when it has begun, and at the end, as JSON, how many were issued, how many failed, and the seconds that
the median and the slowest took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from threading import Thread
from typing import Any

from benchmarks.exchange import PUBLIC, redeem
from benchmarks.project import start

CODES = 20_000
APART = 0.05


def main() -> None:
    content = start()
    from django.core.wsgi import get_wsgi_application

    application: Any = get_wsgi_application()
    requests = [redeem(content.TOKEN, PUBLIC, "", raw) for raw in content.codes(PUBLIC, CODES)]
    waiting = Thread(target=sys.stdin.read, daemon=True)
    waiting.start()
    print("issuing", flush=True)
    seconds: list[float] = []
    failures: list[str] = []
    for request in requests:
        began = time.monotonic()
        statuses: list[str] = []
        started = _keep(statuses)
        response = application(request.environ() | {"wsgi.errors": sys.stderr}, started)
        body = b"".join(response)
        response.close()
        if statuses != ["200 OK"]:
            failures.append(f"{statuses} {body[:200]!r}")
        seconds.append(time.monotonic() - began)
        if not waiting.is_alive():
            break
        time.sleep(APART)
    figures = {"issued": len(seconds) - len(failures), "failures": len(failures), "median": median(seconds)}
    print(*failures[:5], file=sys.stderr, sep="\n", end="")
    print(json.dumps(figures | {"slowest": max(seconds)}))


def _keep(statuses: list[str]) -> Callable[[str, list[tuple[str, str]]], None]:
    return lambda status, headers: statuses.append(status)


if __name__ == "__main__":
    main()
