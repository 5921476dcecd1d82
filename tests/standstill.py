"""A pytest plugin for machines that stand still for seconds: what failed meanwhile is run again.

The tests keep real deadlines, of real sockets and processes. A machine that did nothing at all for as long says nothing
of them. Whatever fails while the machine runs has failed.
"""

from __future__ import annotations

import threading
import time

import pytest

TICK_SECONDS = 0.05
STANDSTILL_SECONDS = 1.0
RERUNS = 2


class Standstill:
    """Knows the longest time in which nothing of this process ran, since the present try of a test began."""

    def __init__(self) -> None:
        self.longest = 0.0
        threading.Thread(target=self._tick, name="standstill", daemon=True).start()

    def _tick(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            self.longest = max(self.longest, now - last)
            last = now

    def seen(self) -> bool:
        return self.longest >= STANDSTILL_SECONDS

    def pytest_runtest_logstart(self) -> None:
        self.longest = 0.0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, condition=self.seen))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Standstill())
