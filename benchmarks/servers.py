"""``python -m benchmarks.servers``: CPU a request, of workers and database backends, under gunicorn on PostgreSQL.

Every side is served at once, by two workers with connections that persist; this process is the load. A round sends each
of them a few of each operation in turn, so that what the machine does beside it falls on all of them; what counts is
the median of the ratios of many rounds. Wall time is not looked at: it says more about the machine's other work than
about ours.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.database import connect, database
from benchmarks.exchange import FLOW, KINDS, OPERATIONS, load
from benchmarks.load import Load
from benchmarks.processes import cpu_seconds
from benchmarks.report import BASE, Ratios, show
from benchmarks.sides import SIDES, python_of

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 3
CONNECTIONS = (1, 8)
# An introspection is the resource server's and a guarded GET nobody's: the client's type plays no part in them.
CASES = (
    *(f"{operation}:public" for operation in OPERATIONS),
    "exchange:confidential",
    "refresh:confidential",
    *(f"{FLOW}:{kind}" for kind in KINDS),
)
# Programs need none of it; who is signed in, and allows, does.
MIDDLEWARE = {"": OPERATIONS, "pages": (FLOW,)}
GOALS = {"exchange": 1.3, "refresh": 1.3, "introspection": 1.3, "guarded-get": 1.3, FLOW: 1.25}
AGAINST_TOOLKIT = {
    **{f"{operation}:public": 4.0 for operation in ("exchange", "refresh")},
    "guarded-get:public": 2.5,
    "flow:public": 2.0,
    "exchange:confidential": 80.0,
    "refresh:confidential": 80.0,
    "introspection:public": 80.0,
}


class Served:
    """A side that answers, with what was prepared for it."""

    def __init__(self, side: str, port: int, pid: int, database: str, prepared: dict[str, list[Any]]) -> None:
        self.side = side
        self._pid = pid
        self._database = database
        self._prepared = {case: iter(requests) for case, requests in prepared.items()}
        self._load = Load(port)

    def send(self, case: str, count: int, connections: int) -> float:
        """Return the seconds of CPU a request."""
        requests = list(islice(self._prepared[case], count))
        before = self._cpu()
        self._load.send(requests, connections)
        return (self._cpu() - before) / len(requests)

    def _cpu(self) -> float:
        """Return the seconds of CPU that its workers, and the database's processes for them, have used so far."""
        with connect() as server:
            backends = server.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s", [self._database]
            ).fetchall()
        return sum(map(cpu_seconds, [*_children(self._pid), *(pid for (pid,) in backends)]))


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def serve(side: str, middleware: str, counts: dict[str, int]) -> Iterator[Served]:
    """Prepare so many requests of each case, and answer them under gunicorn."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        name = stack.enter_context(database(f"servers_{side}"))
        python = python_of(side) or ""
        environment = os.environ | {
            "BENCH_SIDE": side,
            "BENCH_DATABASE": name,
            "BENCH_MIDDLEWARE": middleware,
            "PYTHONPATH": str(ROOT),
        }
        wanted = [f"{case}:{count}" for case, count in counts.items()]
        prepared = directory / "requests"
        prepare = [python, "-m", "benchmarks.prepare", str(prepared), *wanted]
        subprocess.run(prepare, env=environment, cwd=ROOT, check=True)
        with connect(name.removeprefix("postgres:")) as connection:
            connection.execute("VACUUM ANALYZE")
        port = _free_port()
        command = [python, "-m", "gunicorn", "benchmarks.wsgi:application", "--bind", f"127.0.0.1:{port}"]
        command += ["--workers", "2", "--worker-class", "gthread", "--threads", "1", "--keep-alive", "600"]
        # It would wait for the connections that are kept.
        command += ["--graceful-timeout", "1", "--log-level", "warning"]
        server = subprocess.Popen(command, env=environment, cwd=ROOT)
        stack.callback(server.wait, 20)
        stack.callback(server.terminate)
        _wait_for(port)
        requests = {case: load(prepared, case) for case in counts}
        yield Served(side, port, server.pid, name.removeprefix("postgres:"), requests)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def requests_a_round(side: str, case: str, count: int) -> int:
    """Return how many; few where a client's secret goes through PBKDF2, some 0.2 s each."""
    if side == "toolkit" and (case.endswith(":confidential") or case.startswith("introspection")):
        return max(count // 10, 4)
    return max(count // 2, 8) if case.startswith(FLOW) else count


def compare(sides: list[str], cases: list[str], rounds: int, count: int) -> Ratios:
    """Return what each side took of each case: the median of its ratios to the floor, round by round."""
    taken: dict[str, dict[str, list[float]]] = {}
    for middleware, operations in MIDDLEWARE.items():
        if chosen := [case for case in cases if case.partition(":")[0] in operations]:
            taken |= _measure(sides, chosen, middleware, rounds, count)
    goals = {named(case, connections): GOALS[case.partition(":")[0]] for case in cases for connections in CONNECTIONS}
    ratios = Ratios("CPU a request", unit="ms", goals=goals)
    for name, row in taken.items():
        floor = row.get(BASE)
        for side, figures in row.items():
            if floor:
                # Round by round: what else the machine does falls on all of a round.
                times = median(one / other for one, other in zip(figures, floor, strict=True))
                ratios.add(name, side, times * median(floor) * 1000)
            else:
                ratios.add(name, side, median(figures) * 1000)
    return ratios


def _measure(
    sides: list[str], cases: list[str], middleware: str, rounds: int, count: int
) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of CPU a request in each round, by case and side."""
    taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        served = []
        for side in sides:
            sends = len(CONNECTIONS) * (rounds + WARM_UP)
            counts = {case: sends * requests_a_round(side, case, count) for case in cases}
            served.append(stack.enter_context(serve(side, middleware, counts)))
        for turn in range(-WARM_UP, rounds):
            for case in cases:
                for place, connections in enumerate(CONNECTIONS):
                    # Another side first each time: whatever goes first finds the machine's caches full of other things.
                    shift = (turn + place) % len(served)
                    for one in (*served[shift:], *served[:shift]):
                        cpu = one.send(case, requests_a_round(one.side, case, count), connections)
                        if turn >= 0:
                            taken[named(case, connections)][one.side].append(cpu)
            print(f"round {turn + 1} of {rounds}", flush=True)
    return taken


def named(case: str, connections: int) -> str:
    return f"{case.replace(':', ', ')}, {connections} connection{'s' if connections > 1 else ''}"


def against_others(ratios: Ratios, cases: list[str]) -> list[str]:
    """Return a line for each case: how many times cheaper ours is than each of the others."""
    lines = []
    for case in cases:
        for connections in CONNECTIONS:
            row = ratios.rows[named(case, connections)]
            for side in ("toolkit", "authlib"):
                if side in row and "ours" in row:
                    goal = AGAINST_TOOLKIT.get(case) if side == "toolkit" else None
                    wanted = f", goal {goal}" if goal else ""
                    lines.append(f"{named(case, connections):50} {side}: {row[side] / row['ours']:.1f} times{wanted}")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", action="append", choices=SIDES)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--count", type=int, default=40, help="requests of a case in each round")
    options = parser.parse_args(arguments)
    # So that servers and databases go as well where this is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    sides = options.side or [side for side in SIDES if python_of(side)]
    cases = list(options.case or CASES)
    ratios = compare(sides, cases, options.rounds, options.count)
    show(ratios, "servers")
    print("\n".join(against_others(ratios, cases)))
    print("\n".join(ratios.missed()))


if __name__ == "__main__":
    main()
