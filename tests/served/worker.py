"""Server processes of one project: ``python -m tests.served.worker``, told what to do by lines on its standard input.

``start`` begins one, and prints its process and its port; ``wait`` and a process prints the signal that ended it. All
end with the input. They are forked from here, as gunicorn's are with ``--preload``, so that a start costs little.
``SERVED_HOOK`` names a function that gets the WSGI application and returns the one to serve.
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
    """A thread, and a database connection, for each connection that a client keeps open, as gunicorn's ``gthread``."""

    request_queue_size = 128


def main() -> None:
    django.setup()
    application = get_wsgi_application()
    if hook := os.environ.get("SERVED_HOOK"):
        application = import_string(hook)(application)
    ours, theirs = os.pipe()
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "start":
            print(*start(application, ours, theirs), flush=True)
        else:
            _, status = os.waitpid(int(arguments[0]), 0)
            print(os.WTERMSIG(status), flush=True)
    os._exit(0)


def start(application: Any, ours: int, theirs: int) -> tuple[int, int]:
    """Fork a server process; return its number and its port."""
    server = Server(("127.0.0.1", 0), Handler)
    server.set_app(application)
    port = server.server_port
    child = os.fork()
    if child:
        server.socket.close()
        return child, port
    os.close(theirs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(ours, 1)  # nothing comes but the end of the process that forked this one
    os._exit(0)


if __name__ == "__main__":
    main()
