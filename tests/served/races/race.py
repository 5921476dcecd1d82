"""What all races share: a driver's connections to the server processes, and how a fault is told."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from tests.served.wire import Answer, Request, Wire, at_once

Item = TypeVar("Item")
SPREAD_SECONDS = 0.015


class Fault(Exception):
    """What must never happen did."""


def expect(holds: bool, otherwise: object) -> None:
    if not holds:
        raise Fault(str(otherwise))


class Race(Generic[Item]):
    """Many small races, one after the other; several drivers run at the same time.

    Racer number i always talks to server process i modulo their number, over a connection that stays open: those of
    one race are in different processes.
    """

    name: ClassVar[str]
    racers: ClassVar[int]

    def __init__(self, index: int, ports: Sequence[int], setup: dict[str, Any]) -> None:
        self.index = index
        self.setup = setup
        self.wires = [Wire(ports[(index + racer) % len(ports)]) for racer in range(self.racers)]

    def set_up(self) -> None:
        raise NotImplementedError

    def prepare(self, count: int) -> list[Item]:
        """Make what the next ``count`` races are about."""
        raise NotImplementedError

    def run(self, item: Item) -> str:
        """Run one race and check what it left, over HTTP; return in a word how it went. Raises Fault."""
        raise NotImplementedError

    def verify(self, done: int) -> None:
        """Check the rows that ``done`` races left. Raises Fault."""
        raise NotImplementedError

    def race(self, requests: Sequence[Request]) -> list[Answer]:
        """Release all racers together, or in half of the races within a few milliseconds; return their answers."""
        spread = random.uniform(0, SPREAD_SECONDS) if random.random() < 0.5 else 0.0
        waiting = sorted((random.uniform(0, spread), place) for place in range(len(requests)))
        passed = 0.0
        for moment, place in waiting:
            time.sleep(moment - passed)
            passed = moment
            self.wires[place].send(requests[place])
        return [wire.receive() for wire in self.wires[: len(requests)]]

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Ask what is not part of the race, as many at a time as there are connections."""
        answers: list[Answer] = []
        for start in range(0, len(requests), self.racers):
            answers += at_once(self.wires, requests[start : start + self.racers])
        return answers
