"""What a rollback in the project's own code does to tokens: nothing, where the database has row locks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from django.db import OperationalError, connections, transaction
from django.db import connection as database
from django.utils import timezone

from django_pkce_auth.client import apart, refresh
from django_pkce_auth.client.api import ConnectionAuth
from django_pkce_auth.client.errors import ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.refresh import note_use
from tests.client.acme import REFRESH_TOKEN, TOKEN_URL, Acme, error

pytestmark = pytest.mark.django_db(transaction=True)
NEW_ACCESS, NEW_REFRESH = "new-access-token-0123456789", "new-refresh-token-0123456789"


class OurFault(Exception):
    pass


@pytest.fixture
def due(acme: Acme, django_user_model: Any) -> Connection:
    acme.tokens(access_token=NEW_ACCESS, refresh_token=NEW_REFRESH)
    return make(django_user_model.objects.create_user(username="alice"))


def make(user: Any) -> Connection:
    return Connection.objects.create(
        user=user,
        provider="acme",
        raw_access_token="old",
        raw_refresh_token=REFRESH_TOKEN,
        access_token_expires_at=timezone.now() - timedelta(seconds=1),
    )


def rolled_back(work: Callable[[], object]) -> None:
    with suppress(OurFault), transaction.atomic():
        work()
        raise OurFault


@pytest.fixture
def row_locks() -> None:
    if not database.features.has_select_for_update_nowait:
        pytest.skip("this database can't tell whether a row is locked")


@pytest.mark.concurrency
def test_refresh_outlives_a_rollback(row_locks: None, due: Connection, acme: Acme) -> None:
    rolled_back(due.access_token)
    stored = Connection.objects.get()
    assert stored.raw_refresh_token == NEW_REFRESH
    assert stored.access_token() == NEW_ACCESS
    assert len(acme.asked()) == 1


@pytest.mark.concurrency
def test_refresh_behind_a_call_of_the_api_outlives_a_rollback(row_locks: None, due: Connection, acme: Acme) -> None:
    """Every call notes that the connection is used, and may be followed by one that is answered with 401."""
    Connection.objects.update(access_token_expires_at=timezone.now() + timedelta(hours=1))

    def call_twice() -> None:
        connection = Connection.objects.get()
        auth = ConnectionAuth(connection, origin="https://acme.example", transport=acme)
        request = httpx2.Request("GET", "https://acme.example/api/photos")
        assert auth._carrying(request).headers["Authorization"] == "Bearer old"
        assert auth._carrying(request, again=True).headers["Authorization"] == f"Bearer {NEW_ACCESS}"

    rolled_back(call_twice)
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH


@pytest.mark.concurrency
def test_refresh_outlives_a_rollback_though_another_request_looks_at_the_row_just_now(
    row_locks: None, due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, go_on = threading.Event(), threading.Event()

    def look() -> None:
        try:
            with transaction.atomic():
                Connection.objects.select_for_update().get()
                locked.set()
                go_on.wait(5)
        finally:
            database.close()

    other = threading.Thread(target=look)

    def pause(_: float) -> None:
        go_on.set()
        other.join()

    monkeypatch.setattr(apart, "time", SimpleNamespace(sleep=pause))
    other.start()
    assert locked.wait(5)
    rolled_back(due.access_token)
    assert not other.is_alive(), "nobody waited for it"
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH


def test_use_in_a_transaction_is_noted_when_that_is_committed(due: Connection) -> None:
    now = timezone.now()
    with transaction.atomic():
        note_use(due, now=now)
        assert due.last_used_at == now
        assert Connection.objects.get().last_used_at is None
    assert Connection.objects.get().last_used_at == now


@pytest.mark.concurrency
def test_end_of_a_connection_outlives_a_rollback(row_locks: None, due: Connection, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = error("invalid_grant")

    def ask() -> None:
        with pytest.raises(ReconnectRequired):
            due.access_token()

    rolled_back(ask)
    assert Connection.objects.get().status == due.status == "needs_reconnect"


def test_token_is_given_inside_a_transaction_and_the_object_knows_it(due: Connection, acme: Acme) -> None:
    with transaction.atomic():
        assert due.access_token() == NEW_ACCESS
        assert due.raw_refresh_token == NEW_REFRESH
        assert due.access_token() == NEW_ACCESS
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH
    assert len(acme.asked()) == 1


def test_row_that_the_transaction_holds_itself_is_refreshed_inside_it(due: Connection, acme: Acme) -> None:
    with transaction.atomic():
        Connection.objects.update(label="renamed")
        assert due.access_token() == NEW_ACCESS
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH
    assert Connection.objects.get().label == "renamed"
    assert len(acme.asked()) == 1


def test_row_that_the_transaction_made_itself_is_refreshed_inside_it(acme: Acme, django_user_model: Any) -> None:
    acme.tokens(access_token=NEW_ACCESS)
    with transaction.atomic():
        connection = make(django_user_model.objects.create_user(username="bob"))
        assert connection.access_token() == NEW_ACCESS
    assert Connection.objects.get().access_token() == NEW_ACCESS
    assert len(acme.asked()) == 1


@pytest.fixture
def schema_of_a_tenant(due: Connection) -> Iterator[None]:
    """A second table under the same name, that this connection to the database sees first, and a new one does not."""
    if database.vendor != "postgresql":
        pytest.skip("only PostgreSQL has a search path")
    with database.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tenant; SET search_path TO tenant, public")
        cursor.execute("CREATE TABLE tenant.pkce_auth_connection (LIKE public.pkce_auth_connection INCLUDING ALL)")
    try:
        yield
    finally:
        with database.cursor() as cursor:
            cursor.execute("SET search_path TO DEFAULT; DROP SCHEMA tenant CASCADE")


@pytest.mark.concurrency
def test_connection_of_another_tenant_is_never_taken_for_it(
    due: Connection, schema_of_a_tenant: None, acme: Acme
) -> None:
    """Packages for tenants set a path on each connection to the database; one that is opened for a refresh has none."""
    Connection.objects.create(
        pk=due.pk,
        user=due.user,
        provider="acme",
        raw_access_token="the tenant's own",
        raw_refresh_token="the tenant's own refresh token",
        access_token_expires_at=timezone.now() - timedelta(seconds=1),
    )
    with transaction.atomic():
        Connection.objects.get().access_token()
    (asked,) = acme.asked()
    assert asked.form["refresh_token"] == "the tenant's own refresh token"


class ByThread:
    """Names a database for each thread, as some packages for tenants do."""

    def __init__(self) -> None:
        self.local = threading.local()
        self.local.alias = "default"
        self.asked: list[str] = []

    def db_for_write(self, model: Any, **hints: Any) -> str:
        self.asked.append(getattr(self.local, "alias", "other"))
        return self.asked[-1]


@pytest.mark.concurrency
def test_refresh_stays_in_the_database_that_the_router_names_here(
    row_locks: None, due: Connection, acme: Acme, settings: Any
) -> None:
    router = ByThread()
    settings.DATABASE_ROUTERS = [router]
    with transaction.atomic():
        assert due.access_token() == NEW_ACCESS
    assert "other" in router.asked
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH


class Away:
    """The database is away at the first statements that store tokens; it may have carried them out before."""

    def __init__(self, *, times: int, lost_answer: bool = False) -> None:
        self.left = times
        self.lost_answer = lost_answer

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "UPDATE" not in sql or '"access_token" =' not in sql.replace("`", '"') or not self.left:
            return execute(sql, parameters, many, context)
        self.left -= 1
        if self.lost_answer:
            execute(sql, parameters, many, context)
        raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.parametrize("lost_answer", [True, False])
def test_tokens_are_stored_though_the_database_is_away_for_a_moment(
    due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch, lost_answer: bool
) -> None:
    """The provider has given new ones, and honours the old ones no more."""
    monkeypatch.setattr(refresh, "STORE_PAUSES_SECONDS", (0.01, 0.01))
    with database.execute_wrapper(Away(times=2, lost_answer=lost_answer)):
        assert due.access_token() == NEW_ACCESS
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH
    assert len(acme.asked()) == 1


def test_database_that_stays_away_is_an_error(due: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "STORE_PAUSES_SECONDS", (0.01, 0.01))
    with database.execute_wrapper(Away(times=9)), pytest.raises(OperationalError):
        due.access_token()
    assert Connection.objects.get().refresh_claimed_until is None


def test_wrong_statement_is_not_run_again(due: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "is_outage", lambda error: False)
    away = Away(times=9)
    with database.execute_wrapper(away), pytest.raises(OperationalError):
        due.access_token()
    assert away.left == 8


def test_connection_that_can_not_be_had_is_asked_for_once(
    row_locks: None, due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool waits for half a minute until it says so; four times that is no look at a lock."""
    wrapper, caller, asked = type(connections["default"]), threading.get_ident(), []
    connect = wrapper.get_new_connection

    def exhausted(self: Any, parameters: Any) -> Any:
        if threading.get_ident() == caller:
            return connect(self, parameters)
        asked.append(1)
        raise self.Database.OperationalError("couldn't get a connection after 30.00 sec")

    monkeypatch.setattr(wrapper, "get_new_connection", exhausted)
    with transaction.atomic():
        assert due.access_token() == NEW_ACCESS
    assert len(asked) == 1
    assert Connection.objects.get().raw_refresh_token == NEW_REFRESH
