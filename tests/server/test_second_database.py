"""Where a router keeps our tables in another database: every statement goes there, and every signal waits for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf, signals
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.device import approve_device
from django_pkce_auth.server.events import EVENTS
from django_pkce_auth.server.grants import authorization_code
from django_pkce_auth.server.issue import redeem
from django_pkce_auth.server.keys import add_key
from django_pkce_auth.server.lookups import find_code
from django_pkce_auth.server.models import (
    AccessToken,
    AuthorizationCode,
    ClientSecret,
    Consent,
    DeviceCode,
    RefreshToken,
    TokenFamily,
)
from tests import second_database
from tests.four_steps import App, approve, bearer

pytestmark = second_database.only_there
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def elsewhere(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.second_database.Router"]


def heard() -> AbstractContextManager[list[str]]:
    return second_database.told({name: signal for name, (signal, _) in EVENTS.items()})


@pytest.fixture
def app(register: Callable[..., App]) -> App:
    return register(grant_types=f"authorization_code refresh_token client_credentials {DEVICE_CODE}")


def opens(answer: Any) -> bool:
    return Browser().get("/api/read", headers=bearer(answer.json()["access_token"])).status_code == 200


def test_code_is_approved_and_redeemed(app: App, signed_in: Browser) -> None:
    assert signed_in.get(app.link()).status_code == 200
    ClientSecret.objects.update(created_at=LONG_AGO)
    with heard() as names:
        approve(signed_in, app.link())
    assert names == ["consent_given", "code_issued"]
    with heard() as names:
        code = approve(signed_in, app.link(scopes=("read", "write")))["code"]
    assert names == ["consent_given", "code_issued"]
    with heard() as names:
        tokens = app.redeem(code)
    assert names == ["tokens_issued"]
    assert opens(tokens)
    assert app.post("/oauth/introspect", token=tokens.json()["access_token"]).json()["active"]
    assert ClientSecret.objects.get().last_used_at is not None
    with heard() as names:
        assert app.redeem(code).status_code == 400
    assert names == ["family_revoked", "reuse_detected"]
    assert not opens(tokens)


def test_code_that_another_request_claimed_leaves_no_family(app: App, code: str) -> None:
    read, _ = find_code(code, secrets=False)
    assert read is not None
    assert app.redeem(code).status_code == 200
    given: Any = {
        "resources": (),
        "settings": conf.settings(),
        "now": timezone.now(),
        "using": second_database.ALIAS,
    }
    with second_database.told({"tokens_issued": signals.tokens_issued}) as names:
        assert (
            redeem(read, app.client, claim=authorization_code._CLAIM, grant_type="authorization_code", **given) is None
        )
    assert names == []
    assert TokenFamily.objects.count() == 1


def test_refresh_its_retry_and_its_reuse(app: App, tokens: dict[str, Any]) -> None:
    with heard() as names:
        lost = app.refresh(tokens["refresh_token"])
        retried = app.refresh(tokens["refresh_token"])
        assert opens(app.refresh(retried.json()["refresh_token"]))
    assert names == ["tokens_refreshed"] * 3
    RefreshToken.objects.exclude(superseded_at=None).update(superseded_at=LONG_AGO)
    with heard() as names:
        assert app.refresh(lost.json()["refresh_token"]).status_code == 400
    assert names == ["family_revoked", "reuse_detected"]
    assert not opens(retried)


def test_retry_that_comes_too_late(app: App, tokens: dict[str, Any]) -> None:
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    RefreshToken.objects.exclude(superseded_at=None).update(superseded_at=LONG_AGO)
    with heard() as names:
        assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert names == ["family_revoked", "reuse_detected"]


def test_refresh_token_that_slides(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(client_id="keeper", rotates_refresh_tokens=False)
    given: Any = app.redeem(approve(signed_in, app.link())["code"]).json()
    soon = timezone.now() + timedelta(minutes=1)
    RefreshToken.objects.update(expires_at=soon)
    with heard() as names:
        assert opens(app.refresh(given["refresh_token"]))
    assert names == ["tokens_refreshed"]
    assert RefreshToken.objects.get().expires_at > soon


def test_client_acts_for_itself(app: App) -> None:
    with heard() as names:
        assert opens(app.post(grant_type="client_credentials", scope="read"))
    assert names == ["tokens_issued"]


def test_token_is_a_jwt(register: Callable[..., App]) -> None:
    add_key("ES256", settings=conf.settings(), now=timezone.now())
    app = register(client_id="robot", token_format="ES256", grant_types="client_credentials")
    assert opens(app.post(grant_type="client_credentials", scope="read"))


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_device_waits_for_its_user(app: App, signed_in: Browser, decision: str) -> None:
    codes: Any = app.post("/oauth/device_authorization", scope="read").json()
    poll = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"]}
    assert app.post(**poll).json()["error"] == "authorization_pending"
    assert DeviceCode.objects.get().polled_at is not None
    with heard() as names:
        signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": decision})
    assert names == (["consent_given", "code_issued"] if decision == "approve" else [])
    with heard() as names:
        answer = app.post(**poll)
    assert answer.status_code == (200 if decision == "approve" else 400), answer.content
    assert names == (["tokens_issued"] if decision == "approve" else [])


def test_device_that_was_answered_meanwhile(app: App, alice: Any) -> None:
    app.post("/oauth/device_authorization", scope="read")
    waiting = DeviceCode.objects.select_related("client").get()
    answer = partial(approve_device, waiting, user=alice, scopes=("read",), settings=conf.settings())
    assert answer(now=timezone.now())
    Consent.objects.all().delete()
    assert not answer(now=timezone.now())
    assert not Consent.objects.exists()


def test_client_revokes_its_token(app: App, tokens: dict[str, Any]) -> None:
    with heard() as names:
        app.post("/oauth/revoke", token=tokens["access_token"])
    assert names == ["family_revoked"]
    assert TokenFamily.objects.get().revoked_reason == "client"


def test_user_withdraws_the_consent(app: App, tokens: dict[str, Any], signed_in: Browser) -> None:
    approve(signed_in, app.link())
    with heard() as names:
        assert signed_in.post("/oauth/apps", {"client_id": app.client.client_id}).status_code == 302
    assert names == ["family_revoked", "consent_withdrawn"]
    assert not Consent.objects.exists()


def test_purge(app: App, tokens: dict[str, Any]) -> None:
    for model in (AuthorizationCode, AccessToken, RefreshToken):
        model.objects.update(expires_at=LONG_AGO)
    call_command("pkce_purge", verbosity=0)
    assert not TokenFamily.objects.exists()
    TokenFamily.objects.create(client=app.client)
    call_command("pkce_purge", verbosity=0)
    assert not TokenFamily.objects.exists()


def test_issuing_purges_on_the_way(app: App, tokens: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("django_pkce_auth.server.purge.ONE_IN", 1)
    AccessToken.objects.update(expires_at=LONG_AGO)
    with heard():
        app.refresh(tokens["refresh_token"])
        assert AccessToken.objects.count() == 2
    assert AccessToken.objects.count() == 1


def test_column_that_was_left_out_is_read_there(app: App, code: str) -> None:
    found, known = find_code(code, secrets=False)
    assert found is not None
    assert known is not None
    with pytest.raises(KeyError):
        known.client.__dict__["metadata"]
    assert known.client.metadata == {}
    assert found.created_at
    known.client.refresh_from_db()
