"""manage.py pkce_refresh --due [--within SECONDS] [--max-seconds S]"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from ...client.errors import ConnectError, ReconnectRequired
from ...client.models import Connection
from ...client.refresh import access_token
from ...outages import DATABASE_ERRORS, note
from ..progress import progress


class Command(BaseCommand):
    """Nothing depends on it, as a token is refreshed when it is asked for; it finds broken connections early."""

    help = "Refresh connections whose access token is due, so that the next user does not wait for it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--due", action="store_true", required=True, help="Those that end within --within.")
        parser.add_argument("--within", type=int, default=300, metavar="SECONDS", help="How soon is due (300).")
        parser.add_argument("--max-seconds", type=int, metavar="S", help="Stop after this time; the rest waits.")

    def handle(self, *args: Any, within: int, max_seconds: int | None, **options: Any) -> None:
        end = None if max_seconds is None else time.monotonic() + max_seconds
        done: Counter[str] = Counter()
        ahead = timezone.now() + timedelta(seconds=within)
        due = list(Connection.objects.due(ahead).values_list("pk", flat=True))
        with progress(self.stdout, "connections", total=len(due)) as tell:
            for pk in due:
                done[self._refresh(pk, ahead)] += 1
                tell(done.total())
                if end is not None and time.monotonic() > end:
                    break
        self.stdout.write(
            f"{done['refreshed']:,} refreshed, {done['needs_reconnect']:,} need their user to reconnect, "
            f"{done['unavailable']:,} could not be reached."
        )

    def _refresh(self, pk: int, ahead: datetime) -> str:
        connection = Connection.objects.due(ahead).filter(pk=pk).first()
        if connection is None:
            return "gone"
        try:
            # As if the API had refused it: replaced before its time, by the clock that all other processes go by.
            access_token(connection, transport=None, now=timezone.now(), rejected=connection.raw_access_token)
        except ReconnectRequired:
            return "needs_reconnect"
        except ConnectError as error:
            # Also where the settings no longer have the provider: the others must not wait for that.
            self.stderr.write(f"Connection {pk}: {error}")
            return "unavailable"
        except DATABASE_ERRORS as error:
            # A row that is locked for too long, say. Where all of it is away, the next look fails and ends the run.
            note(error, where="a refresh")
            close_old_connections()
            return "unavailable"
        return "refreshed"
