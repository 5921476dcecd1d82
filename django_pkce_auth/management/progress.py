"""A progress line for commands that go through many rows: by ``rich`` on a terminal, if it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import OutputWrapper


@contextmanager
def progress(stdout: OutputWrapper, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many are done; it shows nothing where nobody looks on."""
    try:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda done: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=not stdout.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)
