"""Statements that are compiled once say what the ORM says, whatever is joined, and hold on to no connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.functions import Coalesce
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.compiled import Insert, Select, Update, columns_but
from django_pkce_auth.server.models import AccessToken, Client, ClientSecret, Consent, RefreshToken, TokenFamily
from django_pkce_auth.statement import Slot, plain_field, together
from tests.four_steps import App


def facts(instance: Any) -> dict[str, Any] | None:
    """Every column of a row; None where there is none."""
    if instance is None:
        return None
    return {field.attname: getattr(instance, field.attname) for field in instance._meta.concrete_fields}


def by_digest() -> Any:
    return AccessToken.objects.filter(digest=Slot(AccessToken, "digest"))


TOKENS = Select(
    by_digest,
    values=("expires_at", "family__revoked_at", "family__client__secrets__created_at"),
    instances=("", "family", "family__client", "family__client__service_user", "family__user"),
)


FAMILIES = Insert(TokenFamily)
MOMENTS = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]


@pytest.fixture
def token(app: App, tokens: dict[str, Any]) -> AccessToken:
    return AccessToken.objects.select_related("family__client__service_user", "family__user").get()


def test_select_finds_what_the_orm_finds(token: AccessToken) -> None:
    (row,) = TOKENS.rows("default", digest=token.digest)
    found = row.instance("")
    for ours, orm in (
        (found, token),
        (found.family, token.family),
        (found.family.client, token.family.client),
        (found.family.user, token.family.user),
    ):
        assert facts(ours) == facts(orm)
        assert (ours._state.db, ours._state.adding) == ("default", False)
    assert found.family.client.service_user is None
    assert row.instance("family__client__service_user") is None
    assert row.values == [token.expires_at, None, ClientSecret.objects.get().created_at]


def test_select_reads_nothing_again(token: AccessToken) -> None:
    (row,) = TOKENS.rows("default", digest=token.digest)
    with CaptureQueriesContext(connection) as captured:
        found = row.instance("")
        assert found.family.user.username == "alice"
        assert found.family.client.service_user is None
    assert list(captured) == []


def test_service_user_is_another_user_than_the_user(token: AccessToken, django_user_model: Any) -> None:
    """Both are joined from one table."""
    robot = django_user_model.objects.create_user(username="robot")
    Client.objects.update(service_user=robot)
    (row,) = TOKENS.rows("default", digest=token.digest)
    assert row.instance("family__client").service_user == robot
    assert row.instance("family__user").username == "alice"
    TokenFamily.objects.update(user=None)
    (row,) = TOKENS.rows("default", digest=token.digest)
    assert row.instance("family__user") is None
    assert row.instance("").family.user is None


def test_rows_of_a_join_are_all_found(app: App, token: AccessToken) -> None:
    for number in range(2):
        ClientSecret.objects.create(client=app.client, digest=bytes([number]) * 32)
    assert len(TOKENS.rows("default", digest=token.digest)) == 3
    assert TOKENS.rows("default", digest=b"?" * 32) == []


def test_statement_is_compiled_once(token: AccessToken, monkeypatch: pytest.MonkeyPatch) -> None:
    select, compiled_queries = Select(by_digest, values=["expires_at"]), []
    real = SQLCompiler.as_sql

    def as_sql(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiled_queries.append(self)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(SQLCompiler, "as_sql", as_sql)
    for _ in range(3):
        assert len(select.rows("default", digest=token.digest)) == 1
    assert len(compiled_queries) == 1
    # What is kept must not keep a thread's connection open.
    assert compiled_queries[0].connection is not connection
    assert compiled_queries[0].connection.connection is None


def test_update_tells_how_many_rows_matched(token: AccessToken) -> None:
    update = Update(by_digest, expires_at=Slot(AccessToken, "expires_at", "end"))
    end = timezone.now()
    assert update.run("default", digest=token.digest, end=end) == 1
    assert update.run("default", digest=b"?" * 32, end=end) == 0
    token.refresh_from_db()
    assert token.expires_at == end


def test_insert_stores_what_the_orm_stores(token: AccessToken) -> None:
    client, now = token.family.client, timezone.now()
    given = {"client_id": client.pk, "created_at": now, "scope": "read"}
    key = FAMILIES.run("default", **given, user_id=token.family.user_id)
    assert key > token.family.pk
    assert facts(TokenFamily.objects.get(pk=key)) == facts(TokenFamily(pk=key, **given, user=token.family.user))
    family = TokenFamily.objects.get(pk=FAMILIES.run("default", **given))
    assert (family.pk > key, family.user_id) == (True, None)
    ends = {"created_at": now, "expires_at": now, "generation": 7}
    assert Insert(RefreshToken).run("default", digest=b"r" * 32, family_id=family.pk, **ends) is None
    stored = RefreshToken.objects.get(pk=b"r" * 32)
    assert facts(stored) == facts(RefreshToken(digest=b"r" * 32, family=family, **ends))


def test_insert_of_other_columns_is_another_statement(token: AccessToken) -> None:
    given = {"client_id": token.family.client_id, "created_at": timezone.now(), "scope": "read"}
    keys = [FAMILIES.run("default", **given, resource=resource) for resource in ("https://a.example", None)]
    stored = TokenFamily.objects.in_bulk(keys)
    assert [stored[key].resource for key in keys] == ["https://a.example", None]


def test_none_is_stored_as_the_default_that_a_column_has(token: AccessToken) -> None:
    now = timezone.now()
    given = {"family_id": token.family_id, "created_at": now, "expires_at": now, "generation": 1, "retries": None}
    Insert(RefreshToken).run("default", digest=b"n" * 32, **given)
    assert RefreshToken.objects.get(pk=b"n" * 32).retries == 0


def test_insert_never_overwrites(token: AccessToken) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Insert(AccessToken).run("default", **(facts(token) or {}))


def test_insert_unless_there_leaves_what_is_there(token: AccessToken) -> None:
    store = Insert(Consent, unless_there=True)
    owner, (first, second) = {"user_id": token.family.user_id, "client_id": token.family.client_id}, MOMENTS
    Consent.objects.all().delete()
    assert store.run("default", **owner, scope="read", created_at=first, updated_at=first) == 1
    assert store.run("default", **owner, scope="read write", created_at=second, updated_at=second) == 0
    (consent,) = Consent.objects.all()
    assert (consent.scope, consent.created_at, consent.updated_at) == ("read", first, first)
    assert consent.resource == ""


def test_insert_of_an_unknown_column_is_an_error(token: AccessToken) -> None:
    with pytest.raises(FieldDoesNotExist, match="owner"):
        FAMILIES.run("default", owner=token.family.user_id)


def test_default_that_is_drawn_anew_must_be_given(token: AccessToken) -> None:
    with pytest.raises(TypeError, match="created_at has no constant default"):
        FAMILIES.run("default", client_id=token.family.client_id, scope="read")


def test_rows_are_joined_by_another_key(app: App, token: AccessToken, django_user_model: Any) -> None:
    """The user, or the service user where there is none."""
    path = "family__client__service_user"

    def acting() -> Any:
        key = Coalesce("family__user_id", f"{path}_id", output_field=plain_field(django_user_model._meta.pk))
        return by_digest().annotate(who=key)

    select = Select(acting, values=[f"{path}_id"], instances=["family__client", path], keys={path: "who"})

    def found() -> Any:
        (row,) = select.rows("default", digest=token.digest)
        assert row.values == [app.client.service_user_id]
        return row.instance(path)

    assert facts(found()) == facts(token.family.user)
    app.client.service_user = django_user_model.objects.create_user(username="robot")
    app.client.save()
    assert facts(found()) == facts(token.family.user)
    (row,) = select.rows("default", digest=token.digest)
    assert row.instance("family__client").service_user.username == "robot"
    TokenFamily.objects.update(user=None)
    assert found().username == "robot"
    app.client.service_user = None
    app.client.save()
    assert found() is None


def test_deferred_column_is_read_when_it_is_asked_for(app: App, token: AccessToken) -> None:
    select = Select(lambda: by_digest().defer("family__client__name"), instances=["family__client"])
    with CaptureQueriesContext(connection) as captured:
        (row,) = select.rows("default", digest=token.digest)
        client = row.instance("family__client")
        assert client.client_id == app.client.client_id
        assert len(captured) == 1
        assert client.name == app.client.name
    assert len(captured) == 2
    assert '"name"' not in captured[0]["sql"].replace("`", '"')


def test_all_columns_but_the_key_and_some_are_named(token: AccessToken) -> None:
    names = columns_but("family__user", get_user_model(), ["username", "is_active"])
    select = Select(lambda: by_digest().defer(*names), instances=["family__user"])
    user = select.rows("default", digest=token.digest)[0].instance("family__user")
    plain = {field.attname for field in user._meta.concrete_fields}
    assert plain - user.get_deferred_fields() == {"id", "username", "is_active"}
    assert facts(user) == facts(token.family.user)


def test_statements_of_a_transaction_share_a_cursor(token: AccessToken, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], connection.cursor

    def cursor() -> Any:
        opened.append("one")
        return real()

    def fail_midway() -> None:
        with together("default"), together("default"):
            opened.clear()
            assert len(TOKENS.rows("default", digest=token.digest)) == 1
            Insert(AccessToken).run("default", **(facts(token) or {}) | {"digest": b"2" * 32})
            assert len(TOKENS.rows("default", digest=b"2" * 32)) == 1
            assert opened == []
            raise ZeroDivisionError

    monkeypatch.setattr(connections["default"], "cursor", cursor)
    with pytest.raises(ZeroDivisionError):
        fail_midway()
    opened.clear()
    # Rolled back, and the cursor is nobody's any more.
    assert TOKENS.rows("default", digest=b"2" * 32) == []
    assert opened == ["one"]


def test_value_that_is_not_given_is_an_error(token: AccessToken) -> None:
    with pytest.raises(KeyError, match="digest"):
        TOKENS.rows("default")


def test_nothing_is_kept_of_a_value(token: AccessToken) -> None:
    TOKENS.rows("default", digest=token.digest)
    kept = TOKENS._compiled["default"].statement
    assert kept.names == ["digest"]
    assert kept.literals == {}


def test_values_of_the_query_itself_stay_in_it(token: AccessToken, app: App) -> None:
    """Percent signs too, which mark the places of values."""
    named = Client.objects.filter(name__contains="100%s", type="confidential", client_id=Slot(Client, "client_id"))
    select = Select(lambda: named, values=["pk"])
    assert select.rows("default", client_id=app.client.client_id) == []
    Client.objects.update(name="Photo 100%s App")
    (row,) = select.rows("default", client_id=app.client.client_id)
    assert row.values == [app.client.pk]


def test_planner_of_postgresql_finds_each_row_by_itself(app: App, token: AccessToken) -> None:
    """Nothing else about a query depends on it: these are the rows of any other database."""
    with CaptureQueriesContext(connection) as captured:
        (row,) = TOKENS.rows("default", digest=token.digest)
    assert captured[0]["sql"].count("LATERAL") == (5 if connection.vendor == "postgresql" else 0)
    assert row.instance("family__client").service_user is None
