"""Statements that are compiled once say what the ORM says, whatever is joined, and hold on to no connection."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.compiled import Select, Slot, Update, insert
from django_pkce_auth.server.models import AccessToken, Client, ClientSecret, RefreshToken, TokenFamily
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


def test_insert_stores_what_save_stores(token: AccessToken) -> None:
    family = TokenFamily(client=token.family.client, user=token.family.user, scope="read", created_at=timezone.now())
    insert(family, using="default")
    assert family.pk > token.family.pk
    assert facts(TokenFamily.objects.get(pk=family.pk)) == facts(family)
    refresh_token = RefreshToken(
        digest=b"r" * 32, family=family, created_at=timezone.now(), expires_at=timezone.now(), generation=7
    )
    insert(refresh_token, using="default")
    assert facts(RefreshToken.objects.get(pk=b"r" * 32)) == facts(refresh_token)
    assert (refresh_token._state.db, refresh_token._state.adding) == ("default", False)


def test_insert_never_overwrites(token: AccessToken) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(token, using="default")


def test_value_that_is_not_given_is_an_error(token: AccessToken) -> None:
    with pytest.raises(KeyError, match="digest"):
        TOKENS.rows("default")


def test_nothing_is_kept_of_a_value(token: AccessToken) -> None:
    TOKENS.rows("default", digest=token.digest)
    kept = TOKENS._compiled["default"].statement
    assert [slot.name for slot in kept.slots] == ["digest"]
    assert kept.literals == {}


def test_values_of_the_query_itself_stay_in_it(token: AccessToken, app: App) -> None:
    """Percent signs too, which mark the places of values."""
    named = Client.objects.filter(name__contains="100%s", type="confidential", client_id=Slot(Client, "client_id"))
    select = Select(lambda: named, values=["pk"])
    assert select.rows("default", client_id=app.client.client_id) == []
    Client.objects.update(name="Photo 100%s App")
    (row,) = select.rows("default", client_id=app.client.client_id)
    assert row.values == [app.client.pk]
