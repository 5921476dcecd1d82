"""Running the same thing from many threads at the same moment, each with a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

Result = TypeVar("Result")
THREADS = 16
PATIENCE_SECONDS = 300
"""What hangs is found all the same, and a machine may be slow."""


def at_once(*jobs: Callable[[], Result]) -> Sequence[Result]:
    """Run every job in a thread of its own, all released together; return what they returned."""
    barrier = Barrier(len(jobs))

    def run(job: Callable[[], Result]) -> Result:
        try:
            for connection in connections.all():
                connection.ensure_connection()
            barrier.wait(timeout=PATIENCE_SECONDS)
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(timeout=PATIENCE_SECONDS) for future in [pool.submit(run, job) for job in jobs]]
