"""The database that does not answer, or makes one of two transactions give way: no fault of the code, and over soon.

What is asked meanwhile gets 503 with ``Retry-After`` (RFC 9110 §15.6.4); the reason goes to the log only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from .secrets import up_to

logger = logging.getLogger("django_pkce_auth.outages")

Result = TypeVar("Result")
View = Callable[..., HttpResponseBase]

RETRY_AFTER_SECONDS: Final = 5
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.05
"""The longest wait before a try: drawn anew each time, so that those who met do not meet again."""
DATABASE_ERRORS: Final = (OperationalError, InterfaceError, InternalError)
"""What drivers raise for an outage, and, some of them, for a statement that is wrong."""

# A statement that is wrong is SQLite's general error; MySQL and MariaDB number all that goes wrong.
_SQLITE_ERROR: Final = 1
_MYSQL_SERVER_ERRORS: Final = frozenset(
    {1020, 1040, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1317, 1792, 1836, 1927, 1969}
    # A node that its cluster (Galera) left behind, and the connections or statements that one account may have.
    | {1047, 1226, 3024, 4031}
)
_MYSQL_CLIENT_ERRORS: Final = range(2000, 3000)
# PostgreSQL is a standby for the moment, or ended a transaction that was idle, or took, for too long.
_INTERNAL_ERRORS: Final = frozenset({"25006", "25P03", "25P04"})
_CONFLICTS: Final = frozenset({1020, 1213, "40001", "40P01"})
"""Deadlock and serialization failure: the whole transaction was undone so that another one could go on."""


def is_outage(error: Exception) -> bool:
    """True where the database could not answer, False where the question was wrong."""
    cause = error.__cause__ or error
    if isinstance(error, InternalError):
        return _state(cause) in _INTERNAL_ERRORS
    sqlite_code = getattr(cause, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return bool(sqlite_code & 0xFF != _SQLITE_ERROR)
    number = _number(cause)
    if isinstance(error, OperationalError) and number:
        return number in _MYSQL_SERVER_ERRORS or number in _MYSQL_CLIENT_ERRORS
    return isinstance(error, DATABASE_ERRORS) and type(cause).__module__ != "sqlite3"


def is_conflict(error: Exception) -> bool:
    """True where nothing was done, and the same transaction can succeed at once."""
    cause = error.__cause__ or error
    return _state(cause) in _CONFLICTS or _number(cause) in _CONFLICTS


def _state(cause: BaseException) -> str | None:
    """Return what PostgreSQL calls it: by psycopg, or by psycopg2, which has another name for that."""
    state: str | None = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state


def _number(cause: BaseException) -> int:
    return cause.args[0] if cause.args and isinstance(cause.args[0], int) else 0


def persistently(work: Callable[[], Result]) -> Result:
    """Return what ``work`` does in transactions of its own, run again a moment later where one had to give way.

    Within a transaction of the caller's it is run once: that one is undone as well.
    """
    for _ in range(TRIES - 1):
        try:
            return work()
        except OperationalError as error:
            if not is_conflict(error) or any(each.in_atomic_block for each in connections.all(initialized_only=True)):
                raise
        time.sleep(up_to(PAUSE_SECONDS))
    return work()


def note(error: Exception, *, where: str) -> None:
    """Log an outage; raises ``error`` itself where it is none."""
    if not is_outage(error):
        raise error
    for connection in connections.all(initialized_only=True):
        # The commit of a transaction around us would fail once more, and be a server error.
        if connection.in_atomic_block and connection.errors_occurred:
            transaction.set_rollback(True, using=connection.alias)
    why = f"{type(error).__name__}: {' '.join(str(error).split())}"
    logger.error("The database did not answer %s: %s", where, why, extra={"event": "database_unavailable"})


def during_outages(answer: Callable[[], HttpResponse], *, repeats: bool = True) -> Callable[[View], View]:
    """Let a view ``answer`` so during an outage. The view makes its own transactions: none is put around it.

    It runs again where one of them had to give way, unless not ``repeats``: it has done what can't be done twice.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            work = partial(view, request, *args, **kwargs)
            try:
                return persistently(work) if repeats else work()
            except DATABASE_ERRORS as error:
                note(error, where=view.__name__)
                return answer()

        for alias in connections:
            answered = transaction.non_atomic_requests(using=alias)(answered)
        return answered

    return decorate


def page() -> HttpResponse:
    """A friendly page, made without the database: no context processor is asked, as one may want the user."""
    response = HttpResponse(render_to_string("pkce_auth/unavailable.html"), status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Frame-Options"] = "DENY"
    # Django's own line about a 5xx carries the request along, and its query may hold a code and a state.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


page_during_outages = during_outages(page)
