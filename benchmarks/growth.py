"""``python -m benchmarks.growth [TOKENS …]``: what a request costs as the tables grow, on PostgreSQL; ours alone.

Workers on a nearly empty database and on full ones answer in turns; what counts is the median of the rounds' ratios, of
the CPU of the worker and of its database process. Then every statement is EXPLAINed on the fullest: none may read a
whole table that grows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.database import connect, database
from benchmarks.growing import OPERATIONS
from benchmarks.report import OUTPUT, keep
from benchmarks.size import fill

ROOT = Path(__file__).resolve().parents[1]
GOAL = 1.15
# What is prepared must be there: this is what "empty" holds.
EMPTY = 20_000
# Seconds until they begin: a guard notes every few minutes that a session is used, by an UPDATE, and would do so in the
# smaller databases alone, whose sessions are the older ones.
AHEAD = 3600
GROWING = {
    "auth_user",
    *(f"pkce_auth_{name}" for name in ("accesstoken", "refreshtoken", "tokenfamily", "authorizationcode", "consent")),
}
# A consent of each user; and codes, which are kept for a day, of every tenth session.
_MORE = (
    """
    INSERT INTO pkce_auth_consent (user_id, client_id, created_at, updated_at, scope, resource)
    SELECT u.id, c.id, now(), now(), 'read write', '' FROM auth_user u, pkce_auth_client c
    WHERE c.client_id = 'public-app'
    """,
    """
    INSERT INTO pkce_auth_authorizationcode (digest, family_id, client_id, user_id, created_at, expires_at,
                                             code_challenge, scope, resource, redirect_uri)
    SELECT sha256(f.id::text::bytea), f.id, f.client_id, f.user_id, f.created_at, f.created_at + interval '1 day',
           c.code_challenge, c.scope, c.resource, c.redirect_uri
    FROM pkce_auth_tokenfamily f, (SELECT * FROM pkce_auth_authorizationcode LIMIT 1) c WHERE f.id % 10 = 0
    """,
)


class Worker:
    """A process that answers from one database."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        if self._line() != "ready\n":
            raise SystemExit("a worker did not start")

    def cpu(self, operation: str, first: int, count: int) -> float:
        """Return the seconds of CPU a request."""
        return float(self.told(f"{operation} {first} {count}")) / count

    def told(self, what: str) -> str:
        assert self.process.stdin is not None  # noqa: S101
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None  # noqa: S101
        return self.process.stdout.readline()


@contextmanager
def worker(tokens: int, count: int) -> Iterator[Worker]:
    """Fill a database with so many tokens, an access and a refresh token a session, and answer from it."""
    sessions = tokens // 2
    with database(f"growth_{tokens}") as name:
        fill("ours", name, sessions, max(sessions // 10, 1), -AHEAD)
        with connect(name.removeprefix("postgres:")) as connection:
            for statement in _MORE:
                connection.execute(statement)
            connection.execute("VACUUM ANALYZE")
        environment = {"BENCH_SIDE": "ours", "BENCH_DATABASE": name, "BENCH_MIDDLEWARE": "pages"}
        command = [sys.executable, "-m", "benchmarks.growing", str(sessions), str(count)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, text=True, **pipes) as process:
            try:
                yield Worker(process)
            finally:
                process.kill()


def compare(workers: dict[int, Worker], rounds: int, many: int) -> dict[str, dict[int, list[float]]]:
    """Return the seconds of CPU a request in each round, by operation and by tokens."""
    taken: dict[str, dict[int, list[float]]] = {each: {tokens: [] for tokens in workers} for each in OPERATIONS}
    order = list(workers)
    for turn in range(rounds + 1):
        # Nobody is always the first.
        order.append(order.pop(0))
        for operation in OPERATIONS:
            for tokens in order:
                cpu = workers[tokens].cpu(operation, turn * many, many)
                # The first round warms up.
                if turn:
                    taken[operation][tokens].append(cpu)
    return taken


def times_empty(row: dict[int, list[float]]) -> dict[int, float]:
    """Return the median of the rounds' ratios: what else the machine does falls on all of a round."""
    return {
        tokens: median(full / empty for full, empty in zip(figures, row[EMPTY], strict=True))
        for tokens, figures in row.items()
    }


def whole_tables(plan: dict[str, Any], above: str = "") -> set[str]:
    """Return the tables that the plan reads from end to end, without an index, and that grow.

    Not where a LIMIT ends it: PostgreSQL does that where it thinks that nearly every row is one of those looked for.
    """
    kind = plan["Node Type"]
    found = {plan["Relation Name"]} & GROWING if kind == "Seq Scan" and above != "Limit" else set()
    for below in plan.get("Plans", []):
        found |= whole_tables(below, kind)
    return found


def explain(fullest: Worker) -> list[str]:
    """Print how many statements were explained; return a line for each that reads a whole table."""
    statements = json.loads(fullest.told("explain"))
    counted = Counter(each["operation"] for each in statements)
    print("statements explained:", ", ".join(f"{operation} {number}" for operation, number in counted.items()))
    return [
        f"{each['operation']}: {', '.join(found)} without an index: {each['sql']}"
        for each in statements
        if (found := whole_tables(each["plan"]))
    ]


def show(taken: dict[str, dict[int, list[float]]]) -> None:
    table = Table(title="CPU a request as the tables grow: median, ms (median of the ratios to the empty tables')")
    table.add_column("")
    for tokens in next(iter(taken.values())):
        table.add_column("empty" if tokens == EMPTY else f"{tokens:,} tokens", justify="right")
    table.add_column("goal", justify="right")
    ratios = {operation: times_empty(row) for operation, row in taken.items()}
    for operation, row in taken.items():
        cells = (f"{median(cpu) * 1000:.3f} ({ratios[operation][tokens]:.2f})" for tokens, cpu in row.items())
        table.add_row(operation, *cells, f"≤ {GOAL}")
    Console(width=120).print(table)
    keep("growth", {"unit": "seconds of CPU", "rounds": taken, "ratios": ratios})
    _plot(ratios, OUTPUT / "growth.png")


def _plot(ratios: dict[str, dict[int, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    for operation, row in ratios.items():
        axes.plot(list(row), list(row.values()), marker="o", label=operation)
    axes.axhline(GOAL, linestyle="--", color="grey")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens")
    axes.set_ylabel("CPU a request, times the empty tables'")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", nargs="*", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=100, help="requests of an operation in each round")
    options = parser.parse_args(arguments)
    prepared = (options.rounds + 1) * options.count + 1
    with ExitStack() as stack:
        sizes = [EMPTY, *options.tokens]
        workers = {tokens: stack.enter_context(worker(tokens, prepared)) for tokens in sizes}
        show(compare(workers, options.rounds, options.count))
        unindexed = explain(workers[sizes[-1]])
    if unindexed:
        sys.exit("\n".join(unindexed))


if __name__ == "__main__":
    main()
