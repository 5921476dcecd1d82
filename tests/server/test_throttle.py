"""The brake counts failures, of one client or of one address, and never holds up who can prove themselves."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from django_pkce_auth import signals
from django_pkce_auth.server import throttle
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.views import endpoint
from tests.four_steps import App

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def few(monkeypatch: Any) -> None:
    cache.clear()
    monkeypatch.setattr(endpoint, "FAILURES", 3)


def fail(client_id: str, address: str = "192.0.2.1") -> Any:
    body = f"grant_type=refresh_token&refresh_token=x&client_id={client_id}&client_secret={'w' * 40}"
    return Browser(REMOTE_ADDR=address).post("/oauth/token", body, content_type=FORM)


def test_default_allows_a_hundred_failures() -> None:
    assert throttle.FAILURES == 100


def test_failures_of_a_client_are_braked_wherever_they_come_from(app: App) -> None:
    assert [fail("photo-app", f"192.0.2.{number}").status_code for number in range(4)] == [401, 401, 401, 429]
    refused = fail("photo-app")
    assert 0 < int(refused["Retry-After"]) <= 300
    assert refused.json()["error"] == "temporarily_unavailable"


def test_right_secret_is_served_while_the_brake_is_on(app: App, code: str) -> None:
    for _ in range(5):
        fail("photo-app")
    assert app.redeem(code).status_code == 200


def test_unknown_clients_are_counted_by_address(db: None) -> None:
    assert [fail(f"nobody-{number}").status_code for number in range(4)] == [401, 401, 401, 429]
    assert fail("nobody", "192.0.2.99").status_code == 401


@pytest.mark.parametrize("client_id", ["photo-app", "nobody"])
def test_audit_log_is_not_filled_by_strangers(app: App, settings: Any, client_id: str) -> None:
    """It is kept for ever, and anybody can fail; beyond the limit the log and the signal alone tell of it."""
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}
    heard: list[str] = []

    def hear(reason: str, **_: Any) -> None:
        heard.append(reason)

    signals.client_authentication_failed.connect(hear)
    assert [fail(client_id).status_code for _ in range(6)] == [401] * 3 + [429] * 3
    assert AuditEntry.objects.filter(event="client_authentication_failed", client_id=client_id).count() == 3
    assert len(heard) == 6


def test_clients_do_not_hold_each_other_up(app: App, register: Any) -> None:
    register(client_id="other")
    for _ in range(5):
        fail("photo-app")
    assert fail("other").status_code == 401


def test_success_costs_no_call_to_the_cache(app: App, code: str, monkeypatch: Any) -> None:
    def called(*_: Any, **__: Any) -> Any:
        raise AssertionError("the cache was called")

    for name in ("get", "set", "add", "incr", "get_or_set"):
        monkeypatch.setattr(cache, name, called, raising=False)
    assert app.redeem(code).status_code == 200


def test_cache_that_is_down_takes_nothing_down(app: App, monkeypatch: Any) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(throttle, "cache", type("Down", (), {"add": down, "incr": down}))
    assert fail("photo-app").status_code == 401
