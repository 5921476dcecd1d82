"""``python -m benchmarks.purging COMMAND [ARGUMENT …]``: run a side's command, and print what it took as JSON.

Seconds of wall time, of CPU in this process and in the database's, the longest transaction (and the most CPU in one, as
the others' work on the machine is in the longest), the peak of memory.
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
    with timed_transactions([*processes.values()]) as transactions, redirect_stdout(sys.stderr):
        call_command(command, *arguments)
    figures = {"wall": time.monotonic() - began, "transactions": len(transactions)}
    figures |= {"longest": max(wall for wall, _ in transactions), "most": max(cpu for _, cpu in transactions)}
    cpu = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    print(json.dumps(figures | cpu | {"megabytes": peak_megabytes(os.getpid())}))


@contextmanager
def timed_transactions(pids: list[int]) -> Iterator[list[tuple[float, float]]]:
    """Yield the seconds of each transaction so far, and of each statement outside of one: of wall time and of CPU."""
    from django.db import connection
    from django.db.transaction import Atomic

    done: list[tuple[float, float]] = []
    open_since: list[tuple[float, float]] = []
    enter, leave = Atomic.__enter__, Atomic.__exit__

    def clocks() -> tuple[float, float]:
        return time.monotonic(), sum(map(cpu_seconds, pids))

    def finish(began: tuple[float, float]) -> None:
        wall, cpu = clocks()
        done.append((wall - began[0], cpu - began[1]))

    def timed_enter(self: Any) -> None:
        open_since.append(clocks())
        enter(self)

    def timed_leave(self: Any, *exception: Any) -> None:
        leave(self, *exception)
        began = open_since.pop()
        if not open_since:
            finish(began)

    def statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = clocks()
        try:
            return execute(sql, params, many, context)
        finally:
            if not open_since:
                finish(began)

    Atomic.__enter__, Atomic.__exit__ = timed_enter, timed_leave  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(statement):
            yield done
    finally:
        Atomic.__enter__, Atomic.__exit__ = enter, leave  # type: ignore[method-assign]


if __name__ == "__main__":
    main(*sys.argv[1:])
