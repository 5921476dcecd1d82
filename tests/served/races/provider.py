"""Fake providers in a process of their own: ``python -m tests.served.races.provider 3``; it prints their settings."""

from __future__ import annotations

import json
import sys
import threading

import django

if __name__ == "__main__":
    django.setup()
    from django_pkce_auth.testing.server import serve

    servers = [serve(0) for _ in range(int(sys.argv[1]))]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps([server.provider.settings for server in servers]), flush=True)  # type: ignore[attr-defined]
    sys.stdin.read()
