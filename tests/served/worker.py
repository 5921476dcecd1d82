"""One server process: ``python -m tests.served.worker``. It prints its port, and ends when its standard input does.

A thread for each connection, which the client keeps open, as with gunicorn's ``gthread``; ``SERVED_HOOK`` names a
function that is called before the first request.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import django
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string


class Handler(WSGIRequestHandler):
    # Head and body are two writes, and the second must not wait until the first is acknowledged.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


class Server(ThreadedWSGIServer):
    request_queue_size = 128


def main() -> None:
    django.setup()
    application = get_wsgi_application()
    if hook := os.environ.get("SERVED_HOOK"):
        import_string(hook)()
    server = Server(("127.0.0.1", 0), Handler)
    server.set_app(application)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
