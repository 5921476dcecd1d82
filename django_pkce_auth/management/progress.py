"""How far a command is that goes through many rows: a bar by ``rich`` where it is installed, else lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from django.core.management.base import OutputWrapper

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(stdout: OutputWrapper, what: str, *, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many of ``total`` are done; nothing is shown where nobody looks on."""
    if not stdout.isatty():
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    except ImportError:
        yield _lines(stdout, what, total)
        return
    counted = TextColumn("{task.completed:,.0f} of {task.total:,.0f} {task.description}")
    columns = (BarColumn(), counted, TimeElapsedColumn(), TimeRemainingColumn())
    # Django's wrapper ends each piece that is written with a line end; a bar is drawn over itself.
    console = Console(file=cast("IO[str]", stdout._out))
    with Progress(*columns, transient=True, console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(stdout: OutputWrapper, what: str, total: int) -> Callable[[int], None]:
    told = time.monotonic()

    def tell(done: int) -> None:
        """Say it every few seconds."""
        nonlocal told
        if time.monotonic() - told >= SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            stdout.write(f"{done:,} of {total:,} {what}")

    return tell
