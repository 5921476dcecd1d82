"""Driver processes: ``python -m tests.served.races.drive``, told by a line of JSON what to run; it prints reports."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from typing import Any

import django

BATCH = 50
FAULTS_TOLD = 5


def drive(told: dict[str, Any]) -> dict[str, Any]:
    """Run one driver's share of the races."""
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


def main() -> None:
    django.setup()
    from tests.served.races import entries  # noqa: F401  (loaded once, before the drivers are forked)

    told = json.loads(sys.stdin.readline())
    shares = [told | {"index": index} for index in range(told["drivers"])]
    # Forked while no connection to the database is open yet.
    with multiprocessing.get_context("fork").Pool(len(shares)) as drivers:
        print(json.dumps(drivers.map(drive, shares, chunksize=1)))


if __name__ == "__main__":
    main()
