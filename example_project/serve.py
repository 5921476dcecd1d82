"""``python -m example_project.serve PORT``: one site, until its standard input ends.

The demo holds the other end of that pipe, so a site never outlives it, however the demo came to its end.
"""

from __future__ import annotations

import sys
from threading import Thread
from typing import Any

import django
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application


class QuietHandler(WSGIRequestHandler):
    """A line for each request would hold its URL, and a callback's URL holds a code."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(port: int) -> None:
    django.setup()
    server = ThreadedWSGIServer(("127.0.0.1", port), QuietHandler)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    Thread(target=_stop_with_the_demo, args=(server,), daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


def _stop_with_the_demo(server: ThreadedWSGIServer) -> None:
    sys.stdin.buffer.read()
    server.shutdown()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
