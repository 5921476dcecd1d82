"""Processes that ask for one connection's access token at the same moment: ``python -m tests.concurrency.ask_token``.

Each prints what it got as a line of its own. They are forked, as servers do, from one that has loaded the project.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys

import django
from django.conf import settings

fork = multiprocessing.get_context("fork")


def main(key: str, processes: int) -> None:
    # The parent's test database and provider, in place of what the settings name.
    settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
    settings.PKCE_AUTH["PROVIDERS"]["fake"] = json.loads(os.environ["TEST_PROVIDER"])
    django.setup()
    from django_pkce_auth.client.models import Connection

    ready = fork.Barrier(processes, timeout=60)

    def ask() -> None:
        connection = Connection.objects.get(pk=key)
        ready.wait()
        sys.stdout.write(f"{connection.access_token()}\n")
        sys.stdout.flush()

    asking = [fork.Process(target=ask) for _ in range(processes)]
    for process in asking:
        process.start()
    for process in asking:
        process.join()
    sys.exit(any(process.exitcode for process in asking))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
