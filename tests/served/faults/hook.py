"""Faults at a place of a request that its header ``X-Fault`` names, such as ``kill before 3`` or ``cut after 5``.

Places are the statements that the request sends, and its commits, counted from 1. ``kill`` ends the process as
``kill -9`` does; ``cut`` makes the database end the connection.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_pkce_auth.server import purge

PID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
CUT = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}


@dataclass
class Plan:
    kind: str
    when: str
    place: int
    passed: int = 0
    is_met: bool = False


_plans = threading.local()


def install(application: Any) -> Any:
    """Watch every connection of this process; return the application that reads the header.

    No issuance purges by chance: the places of a request are the same each time.
    """
    purge.ONE_IN = 0
    connection_created.connect(_watch)
    BaseDatabaseWrapper._commit = _watched(BaseDatabaseWrapper._commit)  # type: ignore[method-assign]

    def planned(environ: dict[str, Any], start: Any) -> Any:
        kind, when, place = environ.get("HTTP_X_FAULT", "none none 0").split()
        plan = _plans.current = Plan(kind, when, int(place))

        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [*headers, ("X-Fault-Met", str(plan.is_met))], *more)

        try:
            return application(environ, started)
        finally:
            _plans.current = None

    return planned


def _watch(connection: Any, **kwargs: Any) -> None:
    def execute(run: Callable[..., Any], *args: Any) -> Any:
        _arrive(connection, "before")
        result = run(*args)
        _leave(connection)
        return result

    if not connection.execute_wrappers:
        connection.execute_wrappers.append(execute)


def _watched(commit: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def watched(connection: Any) -> Any:
        _arrive(connection, "before")
        result = commit(connection)
        _leave(connection)
        return result

    return watched


def _arrive(connection: Any, when: str) -> None:
    plan = getattr(_plans, "current", None)
    if plan is not None and not plan.is_met:
        plan.passed += 1
        _fail_if_due(plan, connection, when)


def _leave(connection: Any) -> None:
    plan = getattr(_plans, "current", None)
    if plan is not None and not plan.is_met:
        _fail_if_due(plan, connection, "after")


def _fail_if_due(plan: Plan, connection: Any, when: str) -> None:
    if plan.passed != plan.place or plan.when != when:
        return
    if plan.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if plan.kind == "cut":
        _cut(connection)


def _cut(connection: Any) -> None:
    _plans.current.is_met = True
    with connection.connection.cursor() as cursor:
        cursor.execute(PID[connection.vendor])
        (pid,) = cursor.fetchone()
    other = connections[connection.alias].copy()
    with other.cursor() as cursor:
        cursor.execute(CUT[connection.vendor], [pid])
    other.close()
