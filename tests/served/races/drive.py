"""A driver process: ``python -m tests.served.races.drive``, told by a line of JSON what to run; it prints a report."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import django

BATCH = 50
FAULTS_TOLD = 5


def drive(told: dict[str, Any]) -> dict[str, Any]:
    from tests.served.races.entries import RACES
    from tests.served.races.race import Fault

    race = RACES[told["race"]](told["index"], told["ports"], told)
    race.set_up()
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    done, started = 0, time.monotonic()
    while done < told["races"] and len(faults) < FAULTS_TOLD:
        for item in race.prepare(min(BATCH, told["races"] - done)):
            try:
                outcomes[race.run(item)] += 1
            except Fault as fault:
                faults.append(f"race {done}: {fault}")
            done += 1
        if not faults:
            try:
                race.verify(done)
            except Fault as fault:
                faults.append(f"after {done} races: {fault}")
    return {"races": done, "outcomes": outcomes, "faults": faults, "seconds": time.monotonic() - started}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(drive(json.loads(sys.stdin.readline()))))
