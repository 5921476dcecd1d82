"""manage.py pkce_fake_provider [--port N]"""

from __future__ import annotations

import pprint
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """It lets everybody in as anybody, so it runs under DEBUG and on loopback only."""

    help = "Run a fake provider on this machine, to connect accounts and log in without registering anywhere."
    requires_system_checks: Any = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8090, help="On 127.0.0.1 (8090).")

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The fake provider lets everybody in as anybody; it runs under DEBUG only.")
        from ...testing.server import serve

        try:
            server = serve(port)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", "") or str(error).rstrip(".")
            raise CommandError(f"Port {port} can't be used: {why}. Choose another --port.") from None
        entry = pprint.pformat(server.provider.settings, sort_dicts=False)  # type: ignore[attr-defined]
        self.stdout.write(f'PKCE_AUTH.setdefault("PROVIDERS", {{}})["fake"] = {entry}\n\nListening; Ctrl-C ends it.')
        with server:
            try:
                server.serve_forever(poll_interval=0.1)
            except KeyboardInterrupt:
                self.stdout.write("Ended.")
