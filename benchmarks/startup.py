"""``python -m benchmarks.startup``: what the app adds to the start of a project that has the admin.

Fresh processes with and without it in turn, byte code compiled; of each the median, and the difference. On a machine
that does other work as well every process is slower than it must be, so the least of each is told too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.report import OUTPUT, keep

ROOT = Path(__file__).resolve().parents[1]
MOST_MILLISECONDS, MOST_MEGABYTES = 50, 10
STAGES = ("django.setup()", "and the URLs loaded")


@dataclass(frozen=True, slots=True)
class Start:
    milliseconds: float
    megabytes: float
    modules: float


def start(variant: str, byte_code: str) -> list[Start]:
    """Start one process ``with`` or ``without`` the app; return what it took until each stage."""
    command = [sys.executable, "-m", "benchmarks.started", variant]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = byte_code
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    figures = list(map(float, done.stdout.split()))
    return [Start(figures[at] * 1000, *figures[at + 1 : at + 3]) for at in (0, 3)]


def measure(rounds: int) -> dict[str, list[list[Start]]]:
    """Return what each start took until each stage, by variant."""
    taken: dict[str, list[list[Start]]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as byte_code:
        for turn in range(rounds + 1):
            for variant, starts in taken.items():
                found = start(variant, byte_code)
                # The first of each compiles the byte code.
                if turn:
                    starts.append(found)
    return taken


def of_each(choose: Callable[[list[float]], float], taken: dict[str, list[list[Start]]]) -> dict[str, list[Start]]:
    """Return what ``choose`` makes of the figures of each stage, by variant."""
    return {
        variant: [
            Start(*(choose([getattr(each, name) for each in stage]) for name in Start.__slots__))
            for stage in zip(*starts, strict=True)
        ]
        for variant, starts in taken.items()
    }


def show(medians: dict[str, list[Start]]) -> None:
    table = Table(title="What a start takes (CPU, memory, modules)")
    for heading in ("until", "without", "with", "added"):
        table.add_column(heading, justify="left" if heading == "until" else "right")
    for stage, without, has in zip(STAGES, medians["without"], medians["with"], strict=True):
        added = Start(*(getattr(has, each) - getattr(without, each) for each in Start.__slots__))
        table.add_row(stage, *map(_cell, (without, has, added)))
    Console(width=120).print(table)
    _plot(medians, OUTPUT / "startup.png")


def _cell(one: Start) -> str:
    return f"{one.milliseconds:.0f} ms, {one.megabytes:.1f} MB, {one.modules:.0f}"


def _plot(medians: dict[str, list[Start]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, pair = pyplot.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for axes, name in zip(pair, ("milliseconds", "megabytes"), strict=True):
        for place, (variant, stages) in enumerate(medians.items()):
            at = [stage + place * 0.4 for stage in range(len(STAGES))]
            axes.bar_label(axes.bar(at, [getattr(each, name) for each in stages], 0.4, label=variant), fmt="%.0f")
        axes.set_xticks([stage + 0.2 for stage in range(len(STAGES))], STAGES)
        axes.set_title(name)
    pair[0].legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    taken = measure(options.rounds)
    medians, least = of_each(median, taken), of_each(min, taken)
    keep("startup", {"stages": STAGES, "medians": {name: list(map(_cell, each)) for name, each in medians.items()}})
    show(medians)
    for name, figures in (("median", medians), ("least", least)):
        without, has = figures["without"][-1], figures["with"][-1]
        added = has.milliseconds - without.milliseconds
        print(
            f"added in all, {name:6}: {added:.0f} ms of CPU (goal {MOST_MILLISECONDS}), "
            f"{added / without.milliseconds:.0%} of what Django takes; "
            f"{has.megabytes - without.megabytes:.1f} MB (goal {MOST_MEGABYTES})"
        )


if __name__ == "__main__":
    main()
