"""``python -m benchmarks.prepare FILE OPERATION:KIND:COUNT …``: a side's database, and requests that work once each.

Runs with the side's own interpreter; ``BENCH_SIDE`` and ``BENCH_DATABASE`` as in ``benchmarks.settings``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.exchange import FLOW, KINDS, Flow, authorization_query, save
from benchmarks.project import make_tables, start


def main(file: str, *wanted: str) -> None:
    content = start()
    make_tables()
    prepare(content, content.populate(), file, wanted)


def prepare(content: Any, secrets: dict[str, str], file: str, wanted: Iterable[str]) -> None:
    prepared = {}
    for each in wanted:
        operation, kind, count = each.split(":")
        made = flows if operation == FLOW else content.prepare
        arguments = (content, kind) if operation == FLOW else (operation, kind)
        prepared[f"{operation}:{kind}"] = made(*arguments, int(count), secrets)
    save(prepared, Path(file))


def flows(content: Any, kind: str, count: int, secrets: dict[str, str]) -> list[Flow]:
    """Make a person, signed in, for each: so each is a first authorization, with a consent to be recorded."""
    client_id = KINDS[kind]
    authorize = f"{content.AUTHORIZE}?{authorization_query(client_id)}"
    return [
        Flow(client_id, secrets[client_id], cookie, authorize, content.APPROVAL, content.TOKEN)
        for cookie in _sessions(kind, count)
    ]


def _sessions(kind: str, count: int) -> list[str]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore

    cookies = []
    for number in range(count):
        user = get_user_model().objects.create_user(f"{kind}-{number}")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    return cookies


if __name__ == "__main__":
    main(*sys.argv[1:])
