"""A process of its own that asks for one connection's access token: ``python -m tests.concurrency.ask_token``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import django
from django.conf import settings


def main() -> None:
    # The parent's test database and provider, in place of what the settings name.
    settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
    settings.PKCE_AUTH["PROVIDERS"]["fake"] = json.loads(os.environ["TEST_PROVIDER"])
    django.setup()
    from django_pkce_auth.client.models import Connection

    connection = Connection.objects.get(pk=sys.argv[1])
    print("ready", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.005)
    print(connection.access_token(), flush=True)


if __name__ == "__main__":
    main()
