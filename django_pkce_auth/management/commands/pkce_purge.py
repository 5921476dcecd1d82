"""manage.py pkce_purge [--batch N] [--max-seconds S] [--json]"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.utils import timezone

from ...client.models import ConnectAttempt
from ...expiry import Expiring
from ...server.models import AccessToken, TokenFamily
from ...server.purge import TABLES as SERVER_TABLES
from ...server.purge import family_keys, purge_families

TABLES: Final = (*SERVER_TABLES, Expiring(ConnectAttempt, kept_for=timedelta(hours=1)))
BATCH: Final = 2000
SECONDS_BETWEEN_LINES: Final = 5
Progress = Callable[[str, int], None]


class Command(BaseCommand):
    """Every batch is a short transaction of its own, so it can be ended at any moment and goes on where it was."""

    help = (
        "Remove expired tokens, codes and attempts, and the token families that hold nothing any more. "
        "Run it from cron as often as you like; consents and the audit log stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch", type=_positive, default=BATCH, metavar="N", help=f"Rows a transaction ({BATCH})."
        )
        parser.add_argument(
            "--max-seconds", type=_positive, default=None, metavar="S", help="Stop after this time; the rest waits."
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, batch: int, max_seconds: int | None, **options: Any) -> None:
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        removed: dict[str, int] = {}
        done = True
        with self._progress(quiet=options["json"]) as tell:
            for name, rows in _steps(batch=batch, now=timezone.now()):
                removed[name] = removed.get(name, 0) + rows
                tell(name, removed[name])
                done = deadline is None or time.monotonic() < deadline
                if not done:
                    break
        if options["json"]:
            self.stdout.write(json.dumps({"removed": removed, "done": done}, indent=2))
        else:
            self._report(removed, done)

    def _report(self, removed: dict[str, int], done: bool) -> None:
        for name, rows in removed.items():
            self.stdout.write(f"{name:22} {rows:>12,} removed")
        if not done:
            self.stdout.write(self.style.WARNING("Time is up; run it again for the rest."))

    @contextmanager
    def _progress(self, *, quiet: bool) -> Iterator[Progress]:
        """Yield what is told each table's sum so far: a bar where rich is installed, lines where it is not.

        Only while a person looks on; a log gets the report at the end and no more.
        """
        if quiet or not self.stdout.isatty():
            yield lambda name, rows: None
            return
        try:
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
        except ImportError:
            yield self._lines()
            return
        columns = (TextColumn("{task.description:22}"), BarColumn(), TextColumn("{task.completed:,.0f} removed"))
        with Bar(*columns, TimeElapsedColumn(), transient=True) as bar:
            tasks: dict[str, Any] = {}

            def tell(name: str, rows: int) -> None:
                # Nobody knows how many there are in all without counting them all, so the bar pulses.
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=None)
                bar.update(tasks[name], completed=rows)

            yield tell

    def _lines(self) -> Progress:
        told: dict[str, float] = {}

        def tell(name: str, rows: int) -> None:
            """Say it every few seconds."""
            if time.monotonic() - told.get(name, 0) >= SECONDS_BETWEEN_LINES:
                told[name] = time.monotonic()
                self.stdout.write(f"{name}: {rows:,} removed")

        return tell


def _steps(*, batch: int, now: datetime) -> Iterator[tuple[str, int]]:
    """Yield each table's name with the number of rows that a batch removed, until nothing is left.

    Families go with the last of their tokens; at the end, when no token is in the way any more, comes what was left.
    """
    least, highest = family_keys()
    yield from _take_turns({table.name: _batches(table, batch, now) for table in TABLES})
    families = str(TokenFamily._meta.verbose_name_plural)
    yield families, 0
    yield from ((families, deleted) for deleted in _families(least, highest, batch))


def _batches(table: Expiring, batch: int, now: datetime) -> Iterator[int]:
    # Hardly a family ends with an access token, and those are found at the end.
    return table.batches(limit=batch, now=now, holders=table.model is not AccessToken)


def _families(least: int, highest: int, batch: int) -> Iterator[int]:
    after = least - 1
    while after < highest:
        after, deleted = purge_families(after=after, limit=batch)
        yield deleted


def _take_turns(waiting: dict[str, Iterator[int]]) -> Iterator[tuple[str, int]]:
    """Yield a batch of each table in turn until all are done: no table starves behind a long one."""
    for name in waiting:
        yield name, 0
    while waiting:
        for name, batches in list(waiting.items()):
            rows = next(batches, None)
            if rows is None:
                del waiting[name]
            else:
                yield name, rows


def _positive(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 10**6:
        raise ArgumentTypeError(f"{value} is no whole number above 0")
    return int(value)
