"""``python -m benchmarks.answer DATABASE FILE NAME COUNT count|profile``: answer prepared requests in this process.

The WSGI application is called as a server calls it. The database is copied into memory first, so that nothing depends
on the disk, and chance is a fixed sequence, so that a run can be repeated. ``count`` is for callgrind, which is told to
write what it counted behind COUNT requests and behind twice as many more; ``profile`` prints where COUNT spend theirs.
"""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.exchange import load
from benchmarks.project import start

WARM_UP = 10
# One issuance in fifty of ours purges, as its token's digest has it. With this seed so many of those counted do.
SEED = 8414


def main(database: str, file: str, name: str, count: int, mode: str) -> None:
    os.environ["BENCH_DATABASE"] = ":memory:"
    start()
    from django.core.wsgi import get_wsgi_application
    from django.db import connection

    application: Any = get_wsgi_application()
    connection.ensure_connection()
    with sqlite3.connect(database) as stored:
        stored.backup(connection.connection)
    environs = [request.environ() for request in load(Path(file), name)]
    vars(random)["_urandom"] = random.Random(SEED).randbytes  # noqa: S311
    left, warm_up = iter(environs), min(WARM_UP, count)
    _answer(application, islice(left, warm_up))
    gc.collect()
    gc.freeze()
    if mode == "profile":
        _profile(application, left, count)
        return
    _callgrind("instrumentation", "on")
    _answer(application, islice(left, warm_up))
    _callgrind("zero")
    _answer(application, islice(left, count))
    _callgrind("dump")
    _answer(application, islice(left, 2 * count))
    _callgrind("dump")


def _callgrind(*command: str) -> None:
    """Have valgrind's own debugger tell the callgrind that this process runs in."""
    subprocess.run(["vgdb", f"--pid={os.getpid()}", *command], check=True, capture_output=True)


def _profile(application: Any, environs: Iterator[dict[str, Any]], count: int) -> None:
    # CPU, not the clock: other programs take turns with this one.
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    _answer(application, islice(environs, count))
    profiler.disable()
    for order in ("tottime", "cumulative"):
        pstats.Stats(profiler).strip_dirs().sort_stats(order).print_stats(45)
    _by_module(profiler, count)


def _by_module(profiler: cProfile.Profile, count: int) -> None:
    """Print each module's own time, and its calls a request; what C does counts for the module that called it."""
    calls: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for entry in profiler.getstats():
        if isinstance(entry.code, str):
            continue
        module = _module(entry.code.co_filename)
        calls[module] += entry.callcount
        seconds[module] += entry.inlinetime
        for callee in entry.calls or ():
            if isinstance(callee.code, str):
                seconds[module] += callee.inlinetime
    whole = sum(seconds.values())
    for module, spent in seconds.most_common():
        print(f"{module:55} {spent / whole:6.1%} {calls[module] / count:8.1f} calls")
    print(f"{'all':55} {'':6} {sum(calls.values()) / count:8.1f} calls")


def _module(file: str) -> str:
    """Return a file's dotted name below the directory that it was imported from."""
    roots = sorted((each for each in sys.path if each and file.startswith(f"{each}/")), key=len)
    return file.removeprefix(f"{roots[-1]}/").removesuffix(".py").replace("/", ".") if roots else file


def _answer(application: Any, environs: Iterable[dict[str, Any]]) -> None:
    for environ in environs:
        environ["wsgi.errors"] = sys.stderr
        statuses: list[str] = []
        response = application(environ, lambda status, headers, found=statuses: found.append(status))
        body = b"".join(response)
        response.close()
        if statuses != ["200 OK"] or b'"active": false' in body:
            raise SystemExit(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {statuses} {body[:500]!r}")


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5])
