"""The fake provider in a process of its own: ``python -m tests.served.races.provider``; it prints its settings."""

from __future__ import annotations

import json
import sys
import threading

import django

if __name__ == "__main__":
    django.setup()
    from django_pkce_auth.testing.server import serve

    server = serve(0)
    server.request_queue_size = 64
    print(json.dumps(server.provider.settings), flush=True)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
