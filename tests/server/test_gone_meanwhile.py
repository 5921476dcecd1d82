"""What is removed between a request's look at it and its own writing: refused as if it had come later, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.grants import authorization_code, device_code, refresh_token
from django_pkce_auth.server.models import AccessToken, RefreshToken, TokenFamily
from django_pkce_auth.signals import family_revoked, reuse_detected
from tests.four_steps import App

# Foreign keys are checked at the end of a transaction.
pytestmark = pytest.mark.django_db(transaction=True)

Removal = Callable[[App, Any], Any]


def remove_user(app: App, user: Any) -> None:
    type(user).objects.get(pk=user.pk).delete()


def remove_client(app: App, user: Any) -> None:
    type(app.client).objects.get(pk=app.client.pk).delete()


def remove_token(app: App, user: Any) -> None:
    RefreshToken.objects.all().delete()


def withdraw_consent(app: App, user: Any) -> None:
    withdraw(user=user, client=app.client, now=timezone.now())


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let something be done as soon as ``module.name`` has returned what it found, or just before it begins."""

    def arrange(module: Any, name: str, do: Callable[[], Any], *, found: bool = False) -> None:
        real = getattr(module, name)

        def late(*given: Any, **options: Any) -> Any:
            if found:
                answer = real(*given, **options)
                do()
                return answer
            do()
            return real(*given, **options)

        monkeypatch.setattr(module, name, late)

    return arrange


@pytest.fixture
def accused() -> Any:
    """What was called reuse, or revoked for it."""
    heard: list[Any] = []

    def hear(sender: Any, **facts: Any) -> None:
        heard.append(facts)

    for signal in (reuse_detected, family_revoked):
        signal.connect(hear)
    yield heard
    for signal in (reuse_detected, family_revoked):
        signal.disconnect(hear)


def reasons(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [record.__dict__["reason"] for record in caplog.records if getattr(record, "event", "") == event]


def refused(response: Any, status: int, error: str) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error)


@pytest.mark.parametrize("remove", [remove_user, remove_client, remove_token])
@pytest.mark.parametrize("superseded", [False, True], ids=["unused", "superseded"])
def test_refresh_token_that_is_removed_is_no_reuse(
    app: App,
    tokens: dict[str, Any],
    alice: Any,
    remove: Removal,
    superseded: bool,
    before: Any,
    accused: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="django_pkce_auth.server")
    if superseded:
        app.refresh(tokens["refresh_token"])
    before(refresh_token, "find_refresh_token", lambda: remove(app, alice), found=True)
    refused(app.refresh(tokens["refresh_token"]), 400, "invalid_grant")
    assert accused == []
    assert reasons(caplog, "refresh_refused") == ["removed in the meantime"]


@pytest.mark.parametrize("remove", [withdraw_consent, remove_user, remove_client])
def test_code_that_is_removed_was_not_redeemed_before(
    app: App,
    code: str,
    alice: Any,
    remove: Removal,
    before: Any,
    accused: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="django_pkce_auth.server")
    before(authorization_code, "find_code", lambda: remove(app, alice), found=True)
    refused(app.redeem(code), 400, "invalid_grant")
    assert accused == []
    assert reasons(caplog, "code_refused") == ["withdrawn or removed in the meantime"]
    assert not TokenFamily.objects.exists()
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize("remove", [withdraw_consent, remove_user, remove_client])
def test_device_code_that_is_removed_gives_nothing(
    register: Callable[..., App], signed_in: Browser, alice: Any, remove: Removal, before: Any
) -> None:
    tv = register(client_id="tv", public=True, uris=(), grant_types=f"refresh_token {DEVICE_CODE}")
    codes: Any = tv.post("/oauth/device_authorization", scope="read").json()
    signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": "approve"})
    before(device_code, "find_device_code", lambda: remove(tv, alice), found=True)
    refused(tv.post(grant_type=DEVICE_CODE, device_code=codes["device_code"]), 400, "invalid_grant")
    assert not TokenFamily.objects.exists()
    assert not AccessToken.objects.exists()
