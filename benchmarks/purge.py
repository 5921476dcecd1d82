"""``python -m benchmarks.purge [SESSIONS]``: what removing expired sessions takes on PostgreSQL, while issuing goes on.

Ours is ``pkce_purge``, django-oauth-toolkit's ``cleartokens``; beside them is the floor: one bare DELETE for each of
our tables, in one transaction, which is rolled back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.database import connect, database
from benchmarks.processes import cpu_seconds
from benchmarks.report import OUTPUT, keep
from benchmarks.sides import TITLES, python_of
from benchmarks.size import fill

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {"ours": ["pkce_purge"], "toolkit": ["cleartokens"]}
GOALS = {"wall": 20.0, "longest": 0.2, "megabytes": 100.0}
DAY = 86400
# Refresh tokens live for thirty days.
AGE = 40 * DAY
_BARE = (
    "DELETE FROM pkce_auth_refreshtoken WHERE expires_at <= now()",
    "DELETE FROM pkce_auth_accesstoken WHERE expires_at <= now()",
    "DELETE FROM pkce_auth_tokenfamily WHERE created_at <= now() - interval '30 days'",
)
_LEFT = {
    "ours": "SELECT count(*) FROM pkce_auth_tokenfamily WHERE created_at <= now() - interval '30 days'",
    "toolkit": "SELECT count(*) FROM oauth2_provider_accesstoken WHERE created <= now() - interval '30 days'",
}
_ROWS = {
    "left": "sessions left",
    "wall": "seconds",
    "client": "seconds of CPU, command",
    "database": "seconds of CPU, database",
    "longest": "longest transaction, seconds",
    "most": "most CPU in a transaction, seconds",
    "transactions": "transactions",
    "megabytes": "most memory, MB",
    "issued": "issued meanwhile",
    "failures": "of these failed",
    "median": "median issuance, seconds",
    "slowest": "slowest issuance, seconds",
}
Figures = dict[str, Any]


def measure(side: str, sessions: int) -> dict[str, Figures]:
    """Return the figures of the side's command, and for ours those of the bare DELETE as well."""
    found: dict[str, Figures] = {}
    with database(f"purge_{side}") as name:
        fill(side, name, sessions, max(sessions // 10, 1), AGE)
        if side == "ours":
            found["bare DELETE"] = _bare(name.removeprefix("postgres:"))
        with _issuing(side, name) as issued:
            done = _run(side, name, "benchmarks.purging", *COMMANDS[side])
        with connect(name.removeprefix("postgres:")) as connection:
            left = {"left": connection.execute(_LEFT[side]).fetchall()[0][0]}
        found[f"{TITLES[side]}: {COMMANDS[side][0]}"] = json.loads(done) | issued | left
    return found


def _bare(name: str) -> Figures:
    with connect(name) as connection:
        pid = connection.info.backend_pid
        cpu, began = cpu_seconds(pid), time.monotonic()
        with connection.transaction(force_rollback=True):
            for statement in _BARE:
                connection.execute(statement)
            wall = time.monotonic() - began
        cpu = cpu_seconds(pid) - cpu
        figures = {"wall": wall, "database": cpu, "longest": wall, "most": cpu, "transactions": 1}
        connection.execute("VACUUM ANALYZE")
    return figures


@contextmanager
def _issuing(side: str, name: str) -> Iterator[Figures]:
    """Let another process issue tokens meanwhile; what it says of it is in the yielded dictionary afterwards."""
    figures: Figures = {}
    command = [python_of(side) or "", "-m", "benchmarks.issuing"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=_environment(side, name), cwd=ROOT, text=True, **pipes) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "issuing\n":
                raise SystemExit(f"{side} does not issue")
            yield figures
            figures |= json.loads(process.communicate(timeout=60)[0])
        finally:
            process.kill()


def _run(side: str, name: str, *arguments: str) -> str:
    command = [python_of(side) or "", "-m", *arguments]
    environment = _environment(side, name)
    return subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=1800
    ).stdout


def _environment(side: str, name: str) -> dict[str, str]:
    return os.environ | {"BENCH_SIDE": side, "BENCH_DATABASE": name, "PYTHONPATH": str(ROOT)}


def show(sessions: int, found: dict[str, Figures]) -> None:
    table = Table(title=f"Removing {sessions:,} expired sessions")
    table.add_column("")
    for title in found:
        table.add_column(title, justify="right")
    table.add_column("goal", justify="right")
    for key, title in _ROWS.items():
        goal = f"≤ {GOALS[key]:g}" if key in GOALS else ""
        table.add_row(title, *(_cell(figures.get(key)) for figures in found.values()), goal)
    Console(width=140).print(table)
    keep("purge", {"sessions": sessions, "figures": found})
    _plot(found, OUTPUT / "purge.png")


def _cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.3f}" if figure < 1 else f"{figure:,.1f}"


def _plot(found: dict[str, Figures], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.6 * len(found)), layout="constrained")
    titles = list(found)
    client = [figures.get("client", 0.0) for figures in found.values()]
    bars = axes.barh(titles, client, label="command")
    bars = axes.barh(titles, [figures["database"] for figures in found.values()], left=client, label="database")
    axes.bar_label(bars, [f"{figures['wall']:.1f} s" for figures in found.values()], padding=2)
    axes.invert_yaxis()
    axes.set_xlabel("seconds of CPU (beside each bar: of wall time)")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--side", action="append", choices=COMMANDS)
    options = parser.parse_args(arguments)
    found: dict[str, Figures] = {}
    for side in options.side or filter(python_of, COMMANDS):
        found |= measure(side, options.sessions)
    show(options.sessions, found)


if __name__ == "__main__":
    main()
