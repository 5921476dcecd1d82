"""When access was last used, where APIs of other projects or nobody but the token endpoint sees that it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.utils import timezone
from django.utils.formats import date_format

from django_pkce_auth.server.models import Client, TokenFamily
from tests.four_steps import App
from tests.server.test_query_counts import on_postgresql, statements

# One day to the end of each test.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("later")]


@pytest.fixture
def api(register: Callable[..., App]) -> App:
    """An API in another project, which may ask about every token."""
    return register(client_id="api", introspects=Client.Introspects.ALL)


def last_used(**ago: int) -> None:
    TokenFamily.objects.update(last_used_at=timezone.now() - timedelta(**ago))


def age() -> timedelta:
    last = TokenFamily.objects.get().last_used_at
    assert last is not None
    return timezone.now() - last


def shown(browser: Browser) -> bool:
    """True where the page of apps says that this one was used today."""
    today = date_format(timezone.localdate(), "DATE_FORMAT")
    return f"last used {today}" in browser.get("/oauth/apps").content.decode()


def test_api_that_asks_about_a_token_is_use_of_it(api: App, tokens: dict[str, Any], signed_in: Browser) -> None:
    last_used(days=200)
    assert not shown(signed_in)
    with statements(on_postgresql(2, 3)):
        assert api.post("/oauth/introspect", token=tokens["access_token"]).json()["active"]
    assert shown(signed_in)
    with statements(on_postgresql(1, 2)):
        api.post("/oauth/introspect", token=tokens["access_token"])


def test_api_that_asks_again_within_five_minutes_writes_nothing(api: App, tokens: dict[str, Any]) -> None:
    last_used(minutes=4)
    api.post("/oauth/introspect", token=tokens["access_token"])
    assert age() > timedelta(minutes=3)


@pytest.mark.parametrize("asked", ["revoked", "a stranger's question", "the refresh token"])
def test_question_that_lets_nobody_in_is_no_use(
    asked: str, api: App, register: Callable[..., App], tokens: dict[str, Any]
) -> None:
    last_used(days=200)
    if asked == "revoked":
        TokenFamily.objects.update(revoked_at=timezone.now())
    caller = register(client_id="other") if asked == "a stranger's question" else api
    caller.post("/oauth/introspect", token=tokens["refresh_token" if asked == "the refresh token" else "access_token"])
    assert age() > timedelta(days=199)


def test_question_is_answered_where_the_note_can_not_be_made(api: App, tokens: dict[str, Any]) -> None:
    last_used(days=200)

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("the disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        assert api.post("/oauth/introspect", token=tokens["access_token"]).json()["active"]


@pytest.mark.parametrize("rotates", [True, False])
def test_refresh_is_noted_once_a_day(app: App, tokens: dict[str, Any], signed_in: Browser, rotates: bool) -> None:
    Client.objects.update(rotates_refresh_tokens=rotates)
    last_used(days=200)
    usual = on_postgresql(2, 4) if rotates else 2
    with statements(usual + 1):
        tokens |= app.refresh(tokens["refresh_token"]).json()
    assert shown(signed_in)
    last_used(hours=23)
    with statements(usual):
        assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert age() > timedelta(hours=22)


def test_retry_of_a_refresh_is_noted_too(app: App, tokens: dict[str, Any]) -> None:
    app.refresh(tokens["refresh_token"])
    last_used(days=2)
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert age() < timedelta(minutes=1)


def test_refresh_that_is_refused_is_no_use(app: App, tokens: dict[str, Any]) -> None:
    last_used(days=200)
    TokenFamily.objects.update(revoked_at=timezone.now())
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert age() > timedelta(days=199)
