"""What is found by what a program presents, and what is read along with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client as Browser

from django_pkce_auth.server import lookups
from django_pkce_auth.server.lookups import (
    FIRST_USE_NOTED_AFTER,
    USE_NOTED_EVERY,
    StoredSecret,
    find_asking_client,
    find_client,
    find_code,
    find_refresh_token,
)
from django_pkce_auth.server.models import Consent
from tests.four_steps import App, returned

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize("shown", [True, False])
def test_asking_client_is_read_with_what_this_user_allowed_it(
    app: App, alice: Any, django_user_model: Any, register: Callable[..., App], shown: bool
) -> None:
    bob = django_user_model.objects.create_user(username="bob")
    other = register(client_id="other").client
    for user, client, scope in ((bob, app.client, "write"), (alice, other, "profile")):
        Consent.objects.create(user=user, client=client, scope=scope, resource="https://api.example read")
    for user, scope in ((alice, ""), (bob, "write"), (None, "")):
        found = find_asking_client("photo-app", user=user, shown=shown)
        assert found is not None
        assert (found.client, found.remembered.scope) == (app.client, scope)
        assert found.remembered.resource == ("https://api.example read" if scope else "")
        assert found.redirect_uris == ("https://app.example/callback?kept=1",)
    Consent.objects.create(user=alice, client=app.client, scope="read")
    found = find_asking_client("photo-app", user=alice, shown=shown)
    assert found is not None
    assert found.remembered.scope == "read"


def test_consent_of_another_user_answers_for_nobody_else(app: App, signed_in: Browser, django_user_model: Any) -> None:
    bob = django_user_model.objects.create_user(username="bob")
    Consent.objects.create(user=bob, client=app.client, scope="read")
    assert signed_in.get(app.link()).status_code == 200
    assert returned(signed_in.get(app.link_with(prompt="none")))["error"] == "consent_required"


def test_use_of_a_secret_is_due_after_a_minute_at_first_and_after_an_hour_then() -> None:
    fresh = StoredSecret(b"", NOW, None, None)
    assert not fresh.use_is_due(NOW + FIRST_USE_NOTED_AFTER)
    assert fresh.use_is_due(NOW + FIRST_USE_NOTED_AFTER + MOMENT)
    used = StoredSecret(b"", NOW, None, NOW)
    assert not used.use_is_due(NOW + USE_NOTED_EVERY)
    assert used.use_is_due(NOW + USE_NOTED_EVERY + MOMENT)


def test_client_without_a_secret_is_found_without_one(public_app: App) -> None:
    for secrets in (True, False):
        known = find_client("phone-app", secrets=secrets)
        assert known is not None
        assert (known.client, known.secrets) == (public_app.client, ())
    assert find_client("nobody") is None


def joins(model: type[Any], sql: str) -> bool:
    """True where the statement joins the model's table, which a planner takes its time for."""
    assert model._meta.db_table in sql
    return f"JOIN {connection.ops.quote_name(model._meta.db_table)}" in sql


def read_by(presented: dict[str, str], *, secrets: bool = True) -> list[Any]:
    """Return the user that each of two grants acts for, as its look-up reads it."""
    code, _ = find_code(presented["code"], secrets=secrets)
    token, _ = find_refresh_token(presented["refresh_token"], secrets=secrets)
    assert code is not None
    assert token is not None
    return [code.user, token.family.user]


@pytest.fixture
def presented(app: App, code: str, tokens: dict[str, Any]) -> dict[str, str]:
    return {"code": code, "refresh_token": tokens["refresh_token"]}


@pytest.mark.parametrize("secrets", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_of_a_user_is_read_what_decides_and_the_rest_when_somebody_asks(
    presented: dict[str, str], alice: Any, django_assert_num_queries: Any, active: bool, secrets: bool
) -> None:
    type(alice).objects.update(is_active=active, email="alice@example.com")
    with django_assert_num_queries(2) as asked:
        users = read_by(presented, secrets=secrets)
        assert [(user.pk, user.is_active) for user in users] == [(alice.pk, active)] * 2
    assert not [each["sql"] for each in asked.captured_queries if joins(type(alice), each["sql"])]
    assert [(user, user.email) for user in users] == [(alice, "alice@example.com")] * 2


def test_user_that_a_manager_leaves_out_is_found(
    presented: dict[str, str], alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a join finds it: what a project's manager hides is not deactivated by that."""
    hidden: Any = type("Hidden", (models.Manager,), {"get_queryset": lambda self: models.QuerySet(self.model).none()})()
    hidden.model = type(alice)
    monkeypatch.setitem(vars(type(alice)._meta), "base_manager", hidden)
    for select in (*lookups._CODE.values(), *lookups._REFRESH_TOKEN.values()):
        monkeypatch.setattr(select, "_compiled", {})
    assert not type(alice)._base_manager.exists()
    assert [user.is_active for user in read_by(presented)] == [True, True]


@pytest.mark.parametrize("because", ["of a from_db of its own", "is_active is no column"])
def test_user_that_may_have_more_to_say_is_read_whole(
    presented: dict[str, str],
    alice: Any,
    django_assert_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
    because: str,
) -> None:
    if because == "is_active is no column":
        columns = [field for field in type(alice)._meta.concrete_fields if field.name != "is_active"]
        monkeypatch.setattr(type(alice)._meta, "concrete_fields", columns)
        monkeypatch.setattr(type(alice), "is_active", True)
    else:
        monkeypatch.setattr(lookups, "is_plain", lambda model: False)
    for select in (*lookups._CODE.values(), *lookups._REFRESH_TOKEN.values()):
        monkeypatch.setattr(select, "_compiled", {})
    with django_assert_num_queries(2):
        users = read_by(presented)
        assert [(user, user.is_active, user.username) for user in users] == [(alice, True, "alice")] * 2


def test_page_knows_who_registered_the_app_without_asking_again(
    app: App, alice: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        found = find_asking_client("photo-app", user=alice, shown=True)
        assert found is not None
        assert found.client.registered_by is None
    type(app.client).objects.update(registered_by=alice)
    with django_assert_num_queries(1) as asked:
        found = find_asking_client("photo-app", user=None, shown=True)
        assert found is not None
        registered_by: Any = found.client.registered_by
        assert (registered_by.pk, registered_by.get_username()) == (alice.pk, "alice")
    assert not joins(type(alice), asked.captured_queries[0]["sql"])
