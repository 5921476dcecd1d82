"""``python -m benchmarks.instructions``: instructions a request, counted by valgrind, in one process on SQLite.

Exact and repeatable where seconds are not. Each figure is a difference within one process: what twice as many requests
took, less what so many took, so that neither start-up nor first times nor the counting itself are in it.

``--side`` and ``--op`` pick some; ``--profile`` shows where the time of one goes instead; ``--short`` is ours and the
floor, with the goals asserted.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answer import WARM_UP
from benchmarks.exchange import KINDS, OPERATIONS
from benchmarks.report import Ratios, show
from benchmarks.sides import SIDES, python_of

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"guarded-get": 1.6, "exchange": 2.0, "refresh": 2.0}
# One issuance in fifty of ours purges, so that some hundred are needed for a fair share of it.
REQUESTS = {"ours": 200, "floor": 100, "toolkit": 20, "authlib": 50}
SLOW = {("toolkit", "confidential"), ("toolkit", "introspection")}
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    side: str
    operation: str
    kind: str

    @property
    def count(self) -> int:
        """How many requests; few where a client's secret goes through PBKDF2."""
        return 2 if not SLOW.isdisjoint({(self.side, self.kind), (self.side, self.operation)}) else REQUESTS[self.side]

    @property
    def key(self) -> str:
        return f"{self.operation}:{self.kind}"

    @property
    def name(self) -> str:
        return f"{self.operation}, {self.kind} client" if self.kind != "public" else self.operation


def measure(case: Case) -> int:
    """Return the instructions of one request."""
    with tempfile.TemporaryDirectory() as directory:
        _prepare(case, directory, 2 * WARM_UP + 3 * case.count)
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={directory}/counted"]
        command = [*valgrind, *_answer(case, directory, "count")]
        done = subprocess.run(command, env=_environment(case), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{case}: {done.stdout}\n{done.stderr}")
        once, twice = (_total(Path(f"{directory}/counted.{dump}")) for dump in (1, 2))
    return (twice - once) // case.count


def _total(dump: Path) -> int:
    found = _TOTAL.search(dump.read_text())
    if found is None:
        raise SystemExit(f"{dump} is no dump of callgrind's")
    return int(found[1])


def profile(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _prepare(case, directory, WARM_UP + case.count)
        subprocess.run(_answer(case, directory, "profile"), env=_environment(case), cwd=ROOT, check=True)


def _answer(case: Case, directory: str, mode: str) -> list[str]:
    program = [*_python(case), "-m", "benchmarks.answer", f"{directory}/db", f"{directory}/requests"]
    return [*program, case.key, str(case.count), mode]


def _prepare(case: Case, directory: str, count: int) -> None:
    command = [*_python(case), "-m", "benchmarks.prepare", f"{directory}/requests", f"{case.key}:{count}"]
    environment = _environment(case) | {"BENCH_DATABASE": f"{directory}/db"}
    subprocess.run(command, env=environment, cwd=ROOT, check=True)


def _python(case: Case) -> list[str]:
    python = python_of(case.side)
    if python is None:
        raise SystemExit(f"BENCH_{case.side.upper()}_PYTHON names the interpreter that has {case.side}.")
    return [python]


def _environment(case: Case) -> dict[str, str]:
    # A hash seed, so that one run is as another.
    return os.environ | {"BENCH_SIDE": case.side, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", action="append", choices=SIDES, help="again for more; all that can be run")
    parser.add_argument("--op", action="append", choices=OPERATIONS, help="again for more; all")
    parser.add_argument("--kind", action="append", choices=KINDS, help="of client, again for more; public")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args(arguments)
    sides = options.side or (SIDES[:2] if options.short else [side for side in SIDES if python_of(side)])
    cases = [
        Case(side, operation, kind)
        for operation in options.op or OPERATIONS
        for kind in options.kind or ["public"]
        # An introspection is the resource server's and a guarded GET nobody's: one kind says it all.
        if kind == "public" or operation in ("exchange", "refresh")
        for side in sides
    ]
    if options.profile:
        for case in cases:
            profile(case)
        return
    ratios = Ratios("Instructions a request", unit="thousand", goals=GOALS)
    for case in cases:
        ratios.add(case.name, case.side, measure(case) / 1000)
        print(f"{case.side:10} {case.name:40} {ratios.rows[case.name][case.side]:12,.1f} thousand", flush=True)
    show(ratios, "instructions")
    if options.short and (missed := ratios.missed()):
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
