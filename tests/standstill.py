"""A pytest plugin for machines that stand still for seconds: what failed meanwhile is run again.

The tests keep real deadlines, of real sockets and processes. A machine that did nothing at all for as long says nothing
of them. Whatever fails while the machine runs has failed.
"""

from __future__ import annotations

import threading
from time import monotonic

import pytest

TICK_SECONDS = 0.05
STANDSTILL_SECONDS = 1.0
RERUNS = 2


class Standstill:
    """Knows the longest time in which nothing of this process ran, since the present try of a test began."""

    def __init__(self) -> None:
        self.longest, self.last = 0.0, monotonic()
        threading.Thread(target=self._tick, name="standstill", daemon=True).start()

    def _tick(self) -> None:
        # Not by names of the module time, which a test may replace for as long as it runs.
        pause = threading.Event()
        while True:
            pause.wait(TICK_SECONDS)
            now = monotonic()
            self.longest, self.last = max(self.longest, now - self.last), now

    def seen(self) -> bool:
        """Say so also where the test ended before the thread could run again."""
        return max(self.longest, monotonic() - self.last) >= STANDSTILL_SECONDS

    def pytest_runtest_logstart(self) -> None:
        self.longest = 0.0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, condition=self.seen))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Standstill())
