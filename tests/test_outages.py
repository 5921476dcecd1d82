"""The database does not answer: 503 with Retry-After everywhere, the reason in the log, and faults stay faults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.test import Client as Browser

from django_pkce_auth import outages
from django_pkce_auth.outages import is_conflict, is_outage, persistently
from django_pkce_auth.server.models import AccessToken, TokenFamily
from tests.four_steps import App, bearer

PRIVATE = "server at db7.internal closed the connection"
PAGES = ("/oauth/authorize", "/oauth/device", "/oauth/apps", "/connect/", "/connect/acme/", "/connect/acme/login")
ENDPOINTS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization")


class Killed(Exception):
    """What a driver raises; ``sqlstate`` is as PostgreSQL's has it."""

    sqlstate: str | None = None


def failure(*args: object, kind: type[Exception] = OperationalError, **facts: object) -> Exception:
    cause = Killed(*args)
    for name, value in facts.items():
        setattr(cause, name, value)
    error = kind(*args)
    error.__cause__ = cause
    return error


@contextmanager
def database_raises(error: Exception, *, times: int = 1000, only: str = "") -> Iterator[list[str]]:
    """Let the next statements fail, ``only`` those that begin so; yields those that did."""
    failed: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if len(failed) < times and sql.startswith(only):
            failed.append(sql)
            raise error
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        yield failed


def answers_503(response: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert response["Cache-Control"] == "no-store"
    assert PRIVATE.encode() not in response.content
    told = [each for each in caplog.records if each.name == "django_pkce_auth.outages"]
    assert [PRIVATE in each.getMessage() for each in told] == [True]
    assert {each.event for each in told} == {"database_unavailable"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_endpoint_answers_503_with_an_oauth_error(path: str, app: App, caplog: pytest.LogCaptureFixture) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", "scope": "read"}
    with database_raises(failure(PRIVATE)):
        response = app.post(path, **form)
    answers_503(response, caplog)
    assert response.json()["error"] == "temporarily_unavailable"
    assert app.post(path, **form).status_code < 500


def test_key_set_answers_503(db: None, caplog: pytest.LogCaptureFixture) -> None:
    with database_raises(failure(PRIVATE)):
        answers_503(Browser().get("/oauth/jwks"), caplog)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_page_answers_503_in_friendly_words(
    path: str, method: str, app: App, signed_in: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    path = app.link() if path == "/oauth/authorize" else path
    with database_raises(failure(PRIVATE)):
        response = getattr(signed_in, method)(path, {"decision": "approve"} if method == "post" else {})
    answers_503(response, caplog)
    assert "Please try again" in response.content.decode()
    assert not TokenFamily.objects.exists()


def test_callback_answers_503_and_logs_neither_code_nor_state(
    signed_in: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    signed_in.cookies["__Host-pkce_auth"] = "b" * 43
    with caplog.at_level(logging.DEBUG), database_raises(failure(PRIVATE)):
        response = signed_in.get("/connect/acme/callback?code=c0de&state=st4te&iss=https://acme.example")
    answers_503(response, caplog)
    assert response["Referrer-Policy"] == "no-referrer"
    assert not [each for each in caplog.records if "c0de" in each.getMessage() + repr(vars(each))]


def test_guard_answers_503_and_lets_in_again(tokens: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    headers = bearer(tokens["access_token"])
    with database_raises(failure(PRIVATE)):
        response = Browser().get("/api/read", headers=headers)
    answers_503(response, caplog)
    assert Browser().get("/api/read", headers=headers).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_wrong_statement_stays_a_fault(app: App) -> None:
    """A table that is missing is no outage, though SQLite and MySQL call it an operational error."""
    with database_raises(failure(1054, "Unknown column")), pytest.raises(OperationalError):
        app.refresh("x")
    if connection.vendor == "sqlite":
        with pytest.raises(OperationalError) as missing, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        assert not is_outage(missing.value)


@pytest.mark.parametrize(
    ("error", "outage", "conflict"),
    [
        (failure("server closed the connection unexpectedly"), True, False),
        (failure("terminating connection", sqlstate="57P01"), True, False),
        (failure("deadlock detected", sqlstate="40P01"), True, True),
        (failure("could not serialize access", sqlstate="40001"), True, True),
        (failure("deadlock detected", pgcode="40P01"), True, True),
        (failure(2013, "Lost connection to server during query"), True, False),
        (failure(1213, "Deadlock found when trying to get lock"), True, True),
        (failure(1205, "Lock wait timeout exceeded"), True, False),
        (failure(1047, "WSREP has not yet prepared node for application use"), True, False),
        (failure(1226, "User 'app' has exceeded the 'max_user_connections' resource"), True, False),
        (failure(0, "", kind=InterfaceError), True, False),
        (failure(1054, "Unknown column 'x' in 'field list'"), False, False),
        (failure("database is locked", sqlite_errorcode=5), True, False),
        (failure("database is locked", sqlite_errorcode=517), True, False),
        (failure("no such table: x", sqlite_errorcode=1), False, False),
        (InterfaceError("connection already closed"), True, False),
        (
            failure("cannot execute INSERT in a read-only transaction", kind=InternalError, sqlstate="25006"),
            True,
            False,
        ),
        (failure("due to transaction timeout", kind=InternalError, sqlstate="25P04"), True, False),
        (failure("current transaction is aborted", kind=InternalError, sqlstate="25P02"), False, False),
        (ValueError("x"), False, False),
    ],
)
def test_outages_are_told_from_faults_and_conflicts(error: Exception, outage: bool, conflict: bool) -> None:
    assert (is_outage(error), is_conflict(error)) == (outage, conflict)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lost", [1, 2])
def test_transaction_that_gave_way_is_run_again(lost: int, app: App, code: str) -> None:
    with database_raises(failure(1213, "Deadlock found"), times=lost) as failed:
        assert app.redeem(code).status_code == 200
    assert len(failed) == lost
    assert AccessToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_transaction_that_gives_way_for_ever_ends_in_503(app: App, code: str) -> None:
    with database_raises(failure("deadlock detected", sqlstate="40P01")) as failed:
        assert app.redeem(code).status_code == 503
    assert len(failed) == 3
    assert app.redeem(code).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_tries_are_apart_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else those that stood in each other's way would meet again, and nobody got through."""
    pauses: list[float] = []
    monkeypatch.setattr(outages, "time", SimpleNamespace(sleep=pauses.append))
    for _ in range(5):
        with pytest.raises(OperationalError), database_raises(failure(1213, "Deadlock found")):
            persistently(TokenFamily.objects.exists)
    assert len(pauses) == len(set(pauses)) == 10
    assert all(0 <= pause <= 0.05 for pause in pauses)


def test_nothing_is_run_again_within_the_transaction_of_a_caller(db: None) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise failure(1213, "Deadlock found")

    with pytest.raises(OperationalError):
        persistently(work)
    assert len(tries) == 1


@pytest.mark.django_db(transaction=True)
def test_outage_within_the_transaction_of_a_request_is_rolled_back(
    app: App, tokens: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the commit would fail once more, and be a server error."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    rolled_back: list[bool] = []
    rollback: Callable[[], None] = connection.rollback
    monkeypatch.setattr(connection, "rollback", lambda: (rolled_back.append(True), rollback())[1])
    connection.errors_occurred = True
    with database_raises(failure(PRIVATE), only="SELECT"):
        response = Browser().get("/api/read", headers=bearer(tokens["access_token"]))
    assert response.status_code == 503
    assert rolled_back == [True]
