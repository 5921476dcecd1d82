"""manage.py pkce_rotate_keys [--batch N]"""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...client.rotate import count_rows, rotate_all
from ..progress import progress


class Command(BaseCommand):
    """Once it is through, the keys behind the first one can be taken out of the settings."""

    help = "Re-encrypt stored tokens and secrets with the first of PKCE_AUTH['ENCRYPTION_KEYS']. Can be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=500, metavar="N", help="Rows a step (500).")

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        done: Counter[str] = Counter()
        rows = 0
        with progress(self.stdout, "rows", total=count_rows()) as tell:
            for read, step in rotate_all(batch=max(1, batch)):
                done += step
                rows += read
                tell(rows)
        self.stdout.write(
            f"{done['rotated']:,} re-encrypted, {done['current']:,} had the first key already, "
            f"{done['unreadable']:,} that no key opens."
        )
        if done["unreadable"]:
            raise CommandError("Put the missing key back behind the others and run this again before you drop any.")
