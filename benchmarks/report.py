"""What a run gives: a table on the terminal, and a plot and the figures as JSON in ``benchmarks/output``."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.sides import SIDES, TITLES

OUTPUT = Path(__file__).resolve().parent / "output"
BASE = "floor"


@dataclass(slots=True)
class Ratios:
    """What each side took for each operation, all measured in one run. ``goals`` are multiples of the floor."""

    title: str
    unit: str
    goals: Mapping[str, float] = field(default_factory=dict)
    rows: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, operation: str, side: str, figure: float) -> None:
        self.rows.setdefault(operation, {})[side] = figure

    def ratio(self, operation: str, side: str) -> float | None:
        """Return how many times the floor's figure the side's is; None where one was not measured."""
        row = self.rows[operation]
        return row[side] / row[BASE] if side in row and row.get(BASE) else None

    def missed(self) -> list[str]:
        """Return a line for each goal that ours does not reach."""
        found = []
        for operation, most in self.goals.items():
            ratio = self.ratio(operation, "ours") if operation in self.rows else None
            if ratio is not None and ratio > most:
                found.append(f"{self.title}, {operation}: {ratio:.2f} times the floor, and the goal is {most}")
        return found


def show(ratios: Ratios, name: str) -> None:
    """Print the table, and write the plot and the figures."""
    sides = [side for side in SIDES if any(side in row for row in ratios.rows.values())]
    table = Table(title=f"{ratios.title} ({ratios.unit}; times the floor)")
    table.add_column("")
    for side in sides:
        table.add_column(TITLES[side], justify="right")
    table.add_column("goal", justify="right")
    for operation, row in ratios.rows.items():
        cells = [_cell(row.get(side), ratios.ratio(operation, side)) for side in sides]
        goal = ratios.goals.get(operation)
        table.add_row(operation, *cells, f"≤ {goal}" if goal else "")
    Console(width=120).print(table)
    keep(name, {"title": ratios.title, "unit": ratios.unit, "rows": ratios.rows})
    _plot(ratios, sides, OUTPUT / f"{name}.png")


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Write the figures, with when and on what they were measured."""
    OUTPUT.mkdir(exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    (OUTPUT / f"{name}.json").write_text(json.dumps(about | dict(figures), indent=2))


def _cell(figure: float | None, ratio: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.1f}" if ratio is None else f"{figure:,.1f} ({ratio:.2f})"


def _plot(ratios: Ratios, sides: list[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    operations = [each for each in ratios.rows if ratios.ratio(each, sides[0]) is not None]
    if not operations:
        return
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.8 * len(operations)), layout="constrained")
    height = 0.8 / len(sides)
    for place, side in enumerate(sides):
        at = [row + place * height for row in range(len(operations))]
        values = [ratios.ratio(each, side) or 0.0 for each in operations]
        bars = axes.barh(at, values, height, label=TITLES[side])
        axes.bar_label(bars, [f"{value:.2f}" if value else "" for value in values], padding=2, fontsize=8)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(operations))], operations)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(f"{ratios.title}, times the floor")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
