"""``python -m benchmarks.purging COMMAND [ARGUMENT …]``: run a side's command, and print what it took as JSON.

Seconds of wall time, of CPU in this process and in the database's, the longest transaction, the peak of memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from benchmarks.processes import cpu_seconds, peak_megabytes
from benchmarks.project import start


def main(command: str, *arguments: str) -> None:
    start()
    from django.core.management import call_command
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    processes = {"client": os.getpid(), "database": backend}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    began = time.monotonic()
    with timed_transactions() as transactions, redirect_stdout(sys.stderr):
        call_command(command, *arguments)
    figures = {"wall": time.monotonic() - began, "longest": max(transactions), "transactions": len(transactions)}
    cpu = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    print(json.dumps(figures | cpu | {"megabytes": peak_megabytes(os.getpid())}))


@contextmanager
def timed_transactions() -> Iterator[list[float]]:
    """Yield the seconds of each transaction so far, and of each statement outside of one."""
    from django.db import connection
    from django.db.transaction import Atomic

    seconds: list[float] = []
    open_since: list[float] = []
    enter, leave = Atomic.__enter__, Atomic.__exit__

    def timed_enter(self: Any) -> None:
        open_since.append(time.monotonic())
        enter(self)

    def timed_leave(self: Any, *exception: Any) -> None:
        leave(self, *exception)
        began = open_since.pop()
        if not open_since:
            seconds.append(time.monotonic() - began)

    def statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:
            if not open_since:
                seconds.append(time.monotonic() - began)

    Atomic.__enter__, Atomic.__exit__ = timed_enter, timed_leave  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(statement):
            yield seconds
    finally:
        Atomic.__enter__, Atomic.__exit__ = enter, leave  # type: ignore[method-assign]


if __name__ == "__main__":
    main(*sys.argv[1:])
