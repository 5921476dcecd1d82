"""What is removed between a request's look at it and its own writing: refused as if it had come later, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.grants import authorization_code, client_credentials, device_code, refresh_token
from django_pkce_auth.server.models import (
    AccessToken,
    AuthorizationCode,
    Consent,
    DeviceCode,
    RefreshToken,
    TokenFamily,
)
from django_pkce_auth.server.views import authorize
from django_pkce_auth.server.views import device as views_device
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


@pytest.mark.parametrize("remove", [remove_user, remove_client])
@pytest.mark.parametrize("audit", [False, True], ids=["", "audit"])
class TestApproval:
    @pytest.fixture(autouse=True)
    def audits(self, audit: bool, settings: Any) -> None:
        settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": audit}

    def is_an_error_page(self, response: Any) -> None:
        assert response.status_code == 400
        assert (
            "Your account, this app, or what you allow it was changed at the same moment; go back"
            in response.content.decode()
        )
        for model in (Consent, AuthorizationCode, AuditEntry):
            assert not model.objects.exists()

    @pytest.mark.parametrize("allowed", [None, "read", "profile"], ids=["first", "again", "more"])
    def test_stores_nothing(
        self, app: App, signed_in: Browser, alice: Any, remove: Removal, before: Any, allowed: str | None
    ) -> None:
        if allowed:
            Consent.objects.create(user=alice, client=app.client, scope=allowed)
        before(authorize, "approve", lambda: remove(app, alice))
        self.is_an_error_page(signed_in.post(app.link(), {"decision": "approve"}))

    def test_of_our_own_app_stores_nothing(
        self, register: Callable[..., App], signed_in: Browser, alice: Any, remove: Removal, before: Any
    ) -> None:
        app = register(first_party=True)
        before(authorize, "approve", lambda: remove(app, alice))
        self.is_an_error_page(signed_in.get(app.link()))


def test_person_who_is_removed_allows_no_device(
    register: Callable[..., App], signed_in: Browser, alice: Any, before: Any
) -> None:
    tv = register(client_id="tv", public=True, uris=(), grant_types=f"refresh_token {DEVICE_CODE}")
    codes: Any = tv.post("/oauth/device_authorization", scope="read").json()
    before(views_device, "approve_device", lambda: remove_user(tv, alice))
    response = signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": "approve"})
    assert response.status_code == 400
    assert DeviceCode.objects.get().approved_at is None
    assert not Consent.objects.exists()


@pytest.mark.parametrize("audit", [False, True], ids=["", "audit"])
def test_client_that_is_removed_is_unknown(
    register: Callable[..., App], alice: Any, before: Any, audit: bool, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": audit}
    app = register(grant_types="client_credentials")
    before(client_credentials, "authenticate", lambda: remove_client(app, alice), found=True)
    refused(app.post(grant_type="client_credentials", scope="read"), 401, "invalid_client")
    assert "client_id=photo-app reason=unknown client_id" in caplog.text
    assert not TokenFamily.objects.exists()
    assert not AccessToken.objects.exists()
    assert [entry.event for entry in AuditEntry.objects.all()] == ["client_authentication_failed"] * audit


def test_device_of_a_client_that_is_removed_begins_nothing(
    register: Callable[..., App], alice: Any, before: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tv = register(client_id="tv", public=True, uris=(), grant_types=DEVICE_CODE)
    before(views_device, "begin", lambda: remove_client(tv, alice))
    refused(tv.post("/oauth/device_authorization", scope="read"), 401, "invalid_client")
    assert "unknown client_id" in caplog.text
    assert not DeviceCode.objects.exists()
