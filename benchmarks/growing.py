"""``python -m benchmarks.growing SESSIONS COUNT``: answer when told, from what ``benchmarks.fill`` filled.

A line of the standard input is an operation, the first of the prepared requests, and how many; what is printed is the
seconds of CPU that they took, here and in the database. The line ``explain`` gives, as JSON, every statement of every
operation with its plan. Ours only.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.exchange import API, PUBLIC, Request, authorization_query, guarded_get, refresh, token_request
from benchmarks.processes import cpu_seconds
from benchmarks.project import start

OPERATIONS = ("guarded-get", "introspection", "exchange", "refresh")
Plan = dict[str, Any]


def main(sessions: int, count: int) -> None:
    content = start()
    from django.core.wsgi import get_wsgi_application
    from django.db import connection

    application: Any = get_wsgi_application()
    prepared = _prepare(content, sessions, count)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "explain\n":
            print(json.dumps(_explain(application, content, prepared)), flush=True)
            continue
        operation, first, many = line.split()
        requests = prepared[operation][int(first) : int(first) + int(many)]
        before = cpu_seconds(os.getpid()) + cpu_seconds(backend)
        for request in requests:
            _answer(application, request)
        print(cpu_seconds(os.getpid()) + cpu_seconds(backend) - before, flush=True)


def _prepare(content: Any, sessions: int, count: int) -> dict[str, list[Request]]:
    """Sessions from all over the table, and new codes."""
    from django.utils import timezone

    from django_pkce_auth.server.clients import add_secret
    from django_pkce_auth.server.models import Client

    secret = add_secret(Client.objects.get(client_id=API), now=timezone.now())
    # A request each, as the first use of a session finds its rows in no cache.
    chosen = iter(random.Random(6749).sample(range(1, sessions), 3 * count))  # noqa: S311
    pairs = [content.raw_tokens(session) for session in chosen]
    return {
        "guarded-get": [guarded_get("/api/me", access) for access, _ in pairs[:count]],
        "introspection": [
            token_request("/oauth/introspect", API, secret, token=access) for access, _ in pairs[count : 2 * count]
        ],
        "refresh": [refresh(content.TOKEN, PUBLIC, "", raw) for _, raw in pairs[2 * count :]],
        "exchange": content.prepare("exchange", "public", count, {PUBLIC: ""}),
    }


def _answer(application: Any, request: Request) -> None:
    statuses: list[str] = []
    environ = request.environ() | {"wsgi.errors": sys.stderr}
    response = application(environ, lambda status, headers: statuses.append(status))
    body = b"".join(response)
    response.close()
    if statuses != ["200 OK"] or b'"active": false' in body:
        raise SystemExit(f"{request.method} {request.path}: {statuses} {body[:500]!r}")


def _explain(application: Any, content: Any, prepared: dict[str, list[Request]]) -> list[dict[str, Any]]:
    """Do each kind of thing once, with the pages as well; return the plan of each statement."""
    acts: dict[str, Callable[[], None]] = {
        operation: partial(_answer, application, requests[-1]) for operation, requests in prepared.items()
    }
    page, approval = _visitor(content)
    revocation = token_request("/oauth/revoke", PUBLIC, "", token=content.raw_tokens(1)[1])
    acts |= {"consent page": page, "approval": approval, "revocation": partial(_answer, application, revocation)}
    acts["purge"] = _purge
    plans = []
    for operation, act in acts.items():
        with explained() as found:
            act()
        plans += [{"operation": operation, "sql": sql, "plan": plan} for sql, plan in found]
    return plans


def _purge() -> None:
    """Do what one issuance in fifty does."""
    from django.utils import timezone

    from django_pkce_auth.server.purge import ROWS, TABLES

    for table in TABLES:
        table.purge(limit=ROWS, now=timezone.now())


def _visitor(content: Any) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what asks for the consent page, signed in, and what approves there."""
    from django.contrib.auth import get_user_model
    from django.test import Client as Browser

    browser = Browser(HTTP_HOST="127.0.0.1")
    browser.force_login(get_user_model().objects.create_user("visitor"))
    url = f"{content.AUTHORIZE}?{authorization_query(PUBLIC)}"

    def page() -> None:
        status = browser.get(url, secure=True).status_code
        assert status == 200, status  # noqa: S101

    def approval() -> None:
        status = browser.post(url, content.APPROVAL, secure=True).status_code
        assert status in (302, 303), status  # noqa: S101

    return page, approval


@contextmanager
def explained() -> Iterator[list[tuple[str, Plan]]]:
    """Yield each statement so far with its plan, but for those of transactions."""
    from django.db import connection

    found: list[tuple[str, Plan]] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.split(maxsplit=1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                found.append((sql, cursor.fetchone()[0][0]["Plan"]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
