"""What a retry leaves behind: siblings of which one client goes on with one (RFC 9700 §4.14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.secrets import digest
from django_pkce_auth.server.grants import refresh_token
from django_pkce_auth.server.models import RefreshToken, TokenFamily
from tests.four_steps import App, approve, bearer


@pytest.fixture(params=["", "MySQL"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The database of the run; and MySQL's refusal (error 1093) to read the table that a statement changes."""
    table = connection.ops.quote_name(RefreshToken._meta.db_table)

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(f"UPDATE {table}") and f"FROM {table}" in sql:
            raise OperationalError(1093, "You can't specify target table for update in FROM clause")
        return execute(sql, *rest)

    with ExitStack() as stack:
        if request.param:
            monkeypatch.setattr(connection.features, "update_can_self_select", False)
            stack.enter_context(connection.execute_wrapper(refuse))
        yield


def siblings(app: App, tokens: dict[str, Any]) -> list[dict[str, Any]]:
    return [app.refresh(tokens["refresh_token"]).json() for _ in range(2)]


def later() -> None:
    """Let everything that was superseded have been so for a minute."""
    minute = timezone.now() - timedelta(minutes=1)
    RefreshToken.objects.exclude(superseded_at=None).update(superseded_at=minute)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "made before siblings were noted"])
def test_second_sibling_in_use_ends_the_family(app: App, tokens: dict[str, Any], noted: bool) -> None:
    one, other = siblings(app, tokens)
    if not noted:
        TokenFamily.objects.update(has_siblings=None)
    kept = app.refresh(one["refresh_token"]).json()
    later()
    assert app.refresh(other["refresh_token"]).json()["error"] == "invalid_grant"
    assert TokenFamily.objects.get().revoked_reason == "reuse"
    assert Browser().get("/api/read", headers=bearer(kept["access_token"])).status_code == 401


@pytest.mark.usefixtures("database")
def test_client_that_lost_an_answer_goes_on_with_the_sibling(app: App, tokens: dict[str, Any]) -> None:
    _lost, sibling = siblings(app, tokens)
    for _ in range(3):
        later()
        response = app.refresh(sibling["refresh_token"])
        assert response.status_code == 200
        sibling = response.json()
    assert Browser().get("/api/read", headers=bearer(sibling["access_token"])).status_code == 200


@pytest.mark.usefixtures("database")
def test_siblings_used_at_the_same_moment_end_nothing(
    app: App, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    one, other = siblings(app, tokens)
    kept = app.refresh(one["refresh_token"]).json()
    assert app.refresh(other["refresh_token"]).status_code == 400
    assert Browser().get("/api/read", headers=bearer(kept["access_token"])).status_code == 200


def test_token_that_is_kept_lives_on_while_it_is_used(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(rotates_refresh_tokens=False)
    raw = app.redeem(approve(signed_in, app.link())["code"]).json()["refresh_token"]
    RefreshToken.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert app.refresh(raw).status_code == 200
    assert RefreshToken.objects.get().expires_at > timezone.now() + timedelta(days=29)


def test_token_that_is_kept_never_outlives_its_authorization(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(rotates_refresh_tokens=False)
    raw = app.redeem(approve(signed_in, app.link())["code"]).json()["refresh_token"]
    end = timezone.now() + timedelta(days=3)
    TokenFamily.objects.update(expires_at=end)
    RefreshToken.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert app.refresh(raw).status_code == 200
    assert RefreshToken.objects.get().expires_at == end


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("with_siblings", [True, False], ids=["a sibling", "an only one"])
def test_token_that_is_used_twice_at_the_same_moment_is_used_and_tried_again(
    app: App, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch, with_siblings: bool
) -> None:
    token = (siblings(app, tokens)[0] if with_siblings else tokens)["refresh_token"]
    find, others = refresh_token.find_refresh_token, []

    def find_just_before_another_uses_it(raw: str, **how: Any) -> Any:
        found = find(raw, **how)
        monkeypatch.setattr(refresh_token, "find_refresh_token", find)
        others.append(app.refresh(token))
        return found

    monkeypatch.setattr(refresh_token, "find_refresh_token", find_just_before_another_uses_it)
    assert app.refresh(token).status_code == 200
    assert others[0].status_code == 200
    assert RefreshToken.objects.get(digest=digest(token)).retries == 1
