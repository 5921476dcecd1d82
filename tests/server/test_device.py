"""The device authorization grant (RFC 8628)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from django.core.cache import cache
from django.db import IntegrityError
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.protocol.errors import OAuthError
from django_pkce_auth.server import device
from django_pkce_auth.server.device import find_waiting
from django_pkce_auth.server.grants import device_code
from django_pkce_auth.server.lookups import find_device_code
from django_pkce_auth.server.models import AccessToken, Client, Consent, DeviceCode, RefreshToken, TokenFamily
from tests.four_steps import App, bearer

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def tv(register: Callable[..., App]) -> App:
    return register(client_id="tv", public=True, uris=(), grant_types=f"refresh_token {DEVICE_CODE}")


@pytest.fixture
def codes(tv: App) -> dict[str, Any]:
    response = tv.post("/oauth/device_authorization", scope="read write")
    assert response.status_code == 200, response.content
    return response.json()


def poll(app: App, codes: dict[str, Any]) -> dict[str, Any]:
    DeviceCode.objects.update(polled_at=None)
    return dict(app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json())


def enter(browser: Browser, code: str, decision: str = "", **more: Any) -> Any:
    return browser.post("/oauth/device", {"user_code": code, **({"decision": decision} if decision else {}), **more})


def test_codes_are_as_the_rfc_says_rfc8628_3_2(codes: dict[str, Any]) -> None:
    assert codes["verification_uri"] == "https://testserver/oauth/device"
    assert codes["verification_uri_complete"] == f"https://testserver/oauth/device?user_code={codes['user_code']}"
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    assert len(codes["user_code"]) == 9


def test_device_gets_tokens_once_its_user_agreed(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    assert poll(tv, codes)["error"] == "authorization_pending"
    page = enter(signed_in, codes["user_code"].lower().replace("-", " "))
    text = page.content.decode()
    assert codes["user_code"] in text
    assert "Photo App" in text
    assert "Read your data" in text
    assert "Device connected" in enter(signed_in, codes["user_code"], "approve").content.decode()
    tokens = poll(tv, codes)
    assert DeviceCode.objects.get().polled_at is not None
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).json()["user"] == "alice"
    assert tv.refresh(tokens["refresh_token"]).status_code == 200
    assert poll(tv, codes)["error"] == "invalid_grant"
    assert Consent.objects.get().scopes == ("read", "write")


def test_unticked_scope_is_not_given(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    enter(signed_in, codes["user_code"], "approve", shown="read write", scope=["read"])
    assert poll(tv, codes)["scope"] == "read"


def test_denial_is_told_to_the_device(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    assert "got nothing" in enter(signed_in, codes["user_code"], "deny").content.decode()
    assert poll(tv, codes)["error"] == "access_denied"


def test_poll_that_comes_too_early_slows_the_device_down_rfc8628_3_5(tv: App, codes: dict[str, Any]) -> None:
    fields = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"]}
    assert tv.post(**fields).json()["error"] == "authorization_pending"
    assert tv.post(**fields).json()["error"] == "slow_down"
    assert DeviceCode.objects.get().interval == 10


def test_consent_to_a_device_adds_to_what_was_allowed_before(
    tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any, django_user_model: Any, register: Callable[..., App]
) -> None:
    bob = django_user_model.objects.create_user("bob")
    Consent.objects.create(user=alice, client=register(client_id="radio").client, scope="write")
    for user, scope in ((bob, "write"), (alice, "profile")):
        Consent.objects.create(user=user, client=tv.client, scope=scope)
    enter(signed_in, codes["user_code"], "approve")
    assert Consent.objects.get(user=alice, client=tv.client).scopes == ("profile", "read", "write")
    assert Consent.objects.get(user=bob).scopes == ("write",)


def test_consent_to_a_device_that_names_our_own_api_is_one_to_it(tv: App, signed_in: Browser) -> None:
    begun = tv.post("/oauth/device_authorization", scope="read", resource="https://testserver").json()
    enter(signed_in, begun["user_code"], "approve")
    consent = Consent.objects.get()
    assert (consent.scope, consent.resource) == ("read", "")


def test_consent_that_was_withdrawn_this_moment_is_given_anew_by_who_allows_a_device(
    tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Consent.objects.create(user=alice, client=tv.client, scope="read write")
    real = device.remember

    def withdrawn_before(*arguments: Any, **named: Any) -> None:
        Consent.objects.all().delete()
        real(*arguments, **named)

    monkeypatch.setattr(device, "remember", withdrawn_before)
    enter(signed_in, codes["user_code"], "approve")
    assert Consent.objects.get().scopes == ("read", "write")


def test_token_of_a_device_is_for_the_resource_that_it_asked_for(tv: App, signed_in: Browser, settings: Any) -> None:
    tools, files = "https://testserver/tools", "https://testserver/files"
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"RESOURCES": {tools: "Tools", files: "Files"}}
    body = urlencode({"scope": "read", "client_id": "tv"}) + "".join(f"&resource={each}" for each in (tools, files))
    begun = Browser().post("/oauth/device_authorization", body, content_type=FORM).json()
    enter(signed_in, begun["user_code"], "approve")
    tokens = tv.post(grant_type=DEVICE_CODE, device_code=begun["device_code"], resource=tools).json()
    family, token = TokenFamily.objects.get(), AccessToken.objects.get()
    assert (family.resource, token.resource) == (f"{tools} {files}", tools)
    assert RefreshToken.objects.get().generation == 0
    tv.refresh(tokens["refresh_token"])
    assert set(AccessToken.objects.values_list("resource", flat=True)) == {tools, None}


def test_device_is_answered_once_and_alone(tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any) -> None:
    tv.post("/oauth/device_authorization", scope="read")
    mine = find_waiting(codes["user_code"].replace("-", ""), now=timezone.now())
    assert mine is not None
    yes = partial(device.approve_device, mine, user=alice, scopes=("read",), settings=conf.settings())
    assert yes(now=timezone.now())
    Consent.objects.all().delete()
    assert not yes(now=timezone.now())
    assert not Consent.objects.exists()
    assert not device.deny_device(mine, now=timezone.now())
    other = DeviceCode.objects.exclude(pk=mine.pk).get()
    assert (other.approved_at, other.denied_at, other.user) == (None, None, None)
    assert device.deny_device(other, now=timezone.now())
    assert not device.deny_device(other, now=timezone.now())
    assert DeviceCode.objects.get(pk=mine.pk).denied_at is None


def test_user_code_that_is_in_use_is_drawn_again(tv: App, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = ["BCDFGHJK", "BCDFGHJK", "KJHGFDCB"]
    monkeypatch.setattr(device, "generate_from", lambda letters, length: drawn.pop(0))
    shown = [tv.post("/oauth/device_authorization", scope="read").json()["user_code"] for _ in range(2)]
    assert shown == ["BCDF-GHJK", "KJHG-FDCB"]


def test_user_codes_that_are_all_in_use_are_an_error_and_no_code(tv: App, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(device, "generate_from", lambda letters, length: drawn.append(length) or "BCDFGHJK")
    tv.post("/oauth/device_authorization", scope="read")
    with pytest.raises(IntegrityError):
        tv.post("/oauth/device_authorization", scope="read")
    assert drawn == [8] * (1 + device.TRIES)
    assert DeviceCode.objects.count() == 1


def test_device_code_is_redeemed_once_and_alone(tv: App, codes: dict[str, Any], alice: Any) -> None:
    tv.post("/oauth/device_authorization", scope="read")
    DeviceCode.objects.update(approved_at=timezone.now(), user=alice)
    mine, _ = find_device_code(codes["device_code"], secrets=False)
    assert mine is not None
    redeem = partial(device_code._redeem, mine, tv.client, (), settings=conf.settings(), now=timezone.now())
    redeem()
    with pytest.raises(OAuthError):
        redeem()
    assert TokenFamily.objects.count() == 1
    assert DeviceCode.objects.exclude(pk=mine.pk).get().family is None


def test_link_with_the_code_only_fills_the_form_in(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    page = signed_in.get(codes["verification_uri_complete"].removeprefix("https://testserver"))
    assert f'value="{codes["user_code"]}"' in page.content.decode()
    assert poll(tv, codes)["error"] == "authorization_pending"


def test_answered_code_can_not_be_answered_again(
    tv: App, codes: dict[str, Any], signed_in: Browser, django_user_model: Any
) -> None:
    enter(signed_in, codes["user_code"], "approve")
    mallory = Browser()
    mallory.force_login(django_user_model.objects.create_user("mallory"))
    assert enter(mallory, codes["user_code"], "deny").status_code == 400
    assert DeviceCode.objects.get().user.username == "alice"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired_token"),
        ({"denied_at": timezone.now()}, "access_denied"),
    ],
)
def test_code_that_is_over_gives_nothing(
    change: dict[str, Any], error: str, tv: App, codes: dict[str, Any], signed_in: Browser
) -> None:
    DeviceCode.objects.update(**change)
    assert enter(signed_in, codes["user_code"], "approve").status_code == 400
    assert poll(tv, codes)["error"] == error


def test_user_deactivated_after_the_approval_gives_nothing(
    tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any
) -> None:
    enter(signed_in, codes["user_code"], "approve")
    alice.is_active = False
    alice.save()
    assert poll(tv, codes)["error"] == "access_denied"


def test_code_of_another_client_is_refused(codes: dict[str, Any], register: Callable[..., App]) -> None:
    other = register(client_id="radio", public=True, uris=(), grant_types=DEVICE_CODE)
    assert poll(other, codes)["error"] == "invalid_grant"


def test_client_without_the_grant_is_refused(app: App) -> None:
    assert app.post("/oauth/device_authorization", scope="read").json()["error"] == "unauthorized_client"


def test_disabled_client_waits_for_nobody(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    Client.objects.update(disabled_at=timezone.now())
    assert enter(signed_in, codes["user_code"]).status_code == 400


def test_guessing_of_codes_is_braked_and_blocks_the_right_one_too(
    tv: App, codes: dict[str, Any], signed_in: Browser
) -> None:
    for _ in range(10):
        assert enter(signed_in, "BCDF-GHJK").status_code == 400
    assert enter(signed_in, codes["user_code"], "approve").status_code == 429
    assert poll(tv, codes)["error"] == "authorization_pending"


@pytest.mark.parametrize("fails", [("add", "incr"), ("add", "incr", "get")], ids=["takes nothing", "is away"])
def test_no_code_is_taken_while_the_cache_can_not_count(
    fails: tuple[str, ...], tv: App, codes: dict[str, Any], signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is full, or whose leader is away while replicas answer, reads well and counts nothing."""

    def down(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    for name in fails:
        monkeypatch.setattr(cache, name, down, raising=False)
    assert enter(signed_in, "BCDF-GHJK").status_code == 429
    assert enter(signed_in, codes["user_code"], "approve").status_code == 429
    monkeypatch.undo()
    assert enter(signed_in, codes["user_code"], "approve").status_code == 200


@pytest.mark.parametrize("typed", ["", "\0", "é" * 8, "A" * 9, "x" * 10_000, "<script>"])
def test_nonsense_is_a_friendly_page(typed: str, signed_in: Browser) -> None:
    page = enter(signed_in, typed)
    assert page.status_code == 400
    assert "<script>" not in page.content.decode()


def test_page_needs_a_sign_in_and_a_csrf_token(codes: dict[str, Any], alice: Any) -> None:
    assert Browser().get("/oauth/device")["Location"].startswith("/login/")
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert enter(browser, codes["user_code"], "approve").status_code == 403


def test_qr_code_is_drawn_for_a_code_and_tells_nothing_of_it(client: Any) -> None:
    drawn = client.get("/oauth/device/qr.svg?user_code=BCDF-GHJK")
    assert drawn["Content-Type"] == "image/svg+xml"
    assert drawn.content.startswith(b"<svg")
    assert client.get("/oauth/device/qr.svg?user_code=nonsense").status_code == 404


def test_page_names_no_host_of_a_device_and_separates_it_from_nothing(
    codes: dict[str, Any], app: App, signed_in: Browser
) -> None:
    facts = [
        BeautifulSoup(page.content, "html.parser").select_one(".pkce-facts").get_text()  # type: ignore[union-attr]
        for page in (enter(signed_in, codes["user_code"]), signed_in.get(app.link()))
    ]
    assert facts == ["not verified by this site", "app.example · not verified by this site"]
