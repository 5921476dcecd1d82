"""Where the project lets the driver prepare statements, PostgreSQL prepares ours; and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from django_pkce_auth.prepared import open_cursor
from django_pkce_auth.server.models import TokenFamily
from tests.four_steps import App, approve, bearer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's drivers prepare"),
]


@pytest.fixture
def driver() -> Iterator[Any]:
    """The driver's connection, as ``OPTIONS["prepare_threshold"]`` of 0 makes it."""
    connection.ensure_connection()
    before, connection.connection.prepare_threshold = connection.connection.prepare_threshold, 0
    yield connection.connection
    connection.connection.prepare_threshold = before
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    connection.close()


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_nothing_is_prepared_unless_the_project_says_so(driver: Any, app: App, tokens: dict[str, Any]) -> None:
    driver.prepare_threshold = None
    driver.execute("DEALLOCATE ALL")
    for _ in range(8):
        assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 200
    assert not prepared()


def test_all_that_programs_ask_is_answered_as_ever(driver: Any, app: App, signed_in: Browser) -> None:
    for _ in range(2):
        given = app.redeem(approve(signed_in, app.link())["code"]).json()
        assert Browser().get("/api/read", headers=bearer(given["access_token"])).json()["user"] == "alice"
        assert app.post("/oauth/introspect", token=given["access_token"]).json()["active"]
        app.refresh(given["refresh_token"])
        sibling = app.refresh(given["refresh_token"]).json()
        following = app.refresh(sibling["refresh_token"])
        assert following.status_code == 200
        assert app.post("/oauth/introspect", token=following.json()["refresh_token"]).json()["active"]
        assert app.redeem("unknown").status_code == 400
        assert app.refresh(given["refresh_token"]).status_code == 400
        assert Browser().get("/api/read", headers=bearer(given["access_token"])).status_code == 401
        assert TokenFamily.objects.latest("pk").revoked_reason == TokenFamily.Reason.REUSE
    found = prepared()
    for beginning in ('SELECT t0."created_at", t0."expires_at", t0."family_id"', "WITH"):
        assert [statement for statement in found if statement.startswith(beginning)]


def test_statements_of_others_are_not_prepared(driver: Any, tokens: dict[str, Any]) -> None:
    list(get_user_model().objects.filter(username="alice"))
    assert not [statement for statement in prepared() if "username" in statement and "pkce_auth" not in statement]


def test_column_that_a_migration_widens_fails_no_request(driver: Any, tokens: dict[str, Any]) -> None:
    table = get_user_model()._meta.db_table

    def widen(length: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN username TYPE varchar({length})")

    def ask() -> int:
        return Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code

    assert ask() == 200
    assert prepared()
    # The driver forgets what it prepared where it sees the ALTER, as another process does not.
    names = dict(driver._prepared._names)
    try:
        widen(200)
        driver._prepared._names.update(names)
        assert [ask(), ask()] == [200, 200]
        assert driver.prepare_threshold is None
    finally:
        widen(150)


@pytest.mark.parametrize(
    "case", ["a transaction", "a log of queries", "a cursor of the project's own", "none of these"]
)
def test_cursor_is_the_projects(driver: Any, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    within: Any = nullcontext()
    if case == "a transaction":
        within = transaction.atomic()
    elif case == "a log of queries":
        within = CaptureQueriesContext(connection)
    elif case == "a cursor of the project's own":
        monkeypatch.setattr(driver, "cursor_factory", type("Theirs", (driver.cursor_factory,), {}))
    with within, open_cursor(connection) as ours, connection.cursor() as theirs:
        assert type(theirs.cursor) is driver.cursor_factory
        assert (type(ours.cursor) is driver.cursor_factory) is (case != "none of these")
