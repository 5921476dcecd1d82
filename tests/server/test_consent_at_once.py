"""A consent that became another one between the page's look at it and the answer: what was answered counts, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server import consent, device
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.models import AuthorizationCode, Consent, DeviceCode
from django_pkce_auth.server.views import authorize
from tests.four_steps import App, approve, returned

Meanwhile = Callable[[Callable[[], Any]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Let something happen once, when the answer has been read and is about to be stored."""

    def happens(change: Callable[[], Any]) -> None:
        for module, name in ((authorize, "approve"), (device, "remember")):
            _once_before(module, name, change, monkeypatch)

    return happens


def _once_before(module: Any, name: str, change: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = getattr(module, name), [change]

    def late(*given: Any, **options: Any) -> Any:
        if left:
            left.pop()()
        return real(*given, **options)

    monkeypatch.setattr(module, name, late)


def allow(browser: Browser, app: App, *scopes: str) -> str:
    return approve(browser, app.link(scopes=scopes))["code"]


@pytest.mark.parametrize("more", ["write", "read"], ids=["another scope", "a scope of before"])
def test_withdrawn_scopes_do_not_come_back_with_another_answer(
    app: App, signed_in: Browser, alice: Any, meanwhile: Meanwhile, more: str
) -> None:
    allow(signed_in, app, "read", "profile")
    meanwhile(lambda: withdraw(user=alice, client=app.client, now=timezone.now()))
    code = allow(signed_in, app, more)
    assert Consent.objects.get().scopes == (more,)
    assert app.redeem(code).json()["scope"] == more
    assert signed_in.get(app.link(scopes=("profile",))).status_code == 200  # the page, which asks


@pytest.mark.parametrize("before", [(), ("profile",)], ids=["of a new app", "of one allowed before"])
def test_answers_of_two_tabs_are_both_remembered(
    app: App, signed_in: Browser, meanwhile: Meanwhile, before: tuple[str, ...]
) -> None:
    if before:
        allow(signed_in, app, *before)
    meanwhile(lambda: allow(signed_in, app, "read"))
    allow(signed_in, app, "write")
    assert Consent.objects.get().scopes == (*before, "read", "write")


def test_resource_that_another_tab_allowed_stays(
    app: App, signed_in: Browser, alice: Any, meanwhile: Meanwhile
) -> None:
    tools = "https://testserver/tools read"
    allow(signed_in, app, "profile")
    meanwhile(lambda: Consent.objects.update(resource=tools))
    allow(signed_in, app, "read")
    given = Consent.objects.get()
    assert (given.scope, given.resource) == ("profile read", tools)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    real, told = consent.record, []

    def record(event: str, **facts: Any) -> None:
        told.append((event, facts["scopes"]))
        real(event, **facts)

    monkeypatch.setattr(consent, "record", record)
    return told


def test_answer_is_told_once_with_its_own_scopes(
    app: App, signed_in: Browser, meanwhile: Meanwhile, settings: Any, heard: list[tuple[str, Any]]
) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}
    allow(signed_in, app, "profile")
    meanwhile(Consent.objects.all().delete)
    heard.clear()
    allow(signed_in, app, "read")
    assert heard == [("consent_given", ["read"]), ("code_issued", ["read"])]


def test_empty_consent_is_added_to(app: App, signed_in: Browser, alice: Any) -> None:
    Consent.objects.create(user=alice, client=app.client, scope="")
    allow(signed_in, app, "read")
    assert Consent.objects.get().scopes == ("read",)


def test_own_app_that_never_asks_does_not_ask_as_two_tabs_open_it_at_once(
    register: Callable[..., App], signed_in: Browser, meanwhile: Meanwhile
) -> None:
    app = register(first_party=True)
    meanwhile(lambda: signed_in.get(app.link(scopes=("write",))))
    assert "code" in returned(signed_in.get(app.link(scopes=("read",))))
    assert Consent.objects.get().scopes == ("write", "read")


def test_consent_that_is_another_one_at_every_try_is_an_error_page_and_no_code(
    app: App, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(signed_in, app, "profile")
    AuthorizationCode.objects.all().delete()
    real, number = consent.write, iter(range(100))

    def write(*given: Any) -> Any:
        Consent.objects.update(scope=f"another-{next(number)}")
        return real(*given)

    monkeypatch.setattr(consent, "write", write)
    response = signed_in.post(app.link(scopes=("read",)), {"decision": "approve"})
    assert response.status_code == 400
    assert "try again" in response.content.decode()
    assert next(number) == consent.TRIES
    assert not AuthorizationCode.objects.exists()


class TestDevice:
    @pytest.fixture
    def user_code(self, register: Callable[..., App]) -> str:
        tv = register(client_id="tv", public=True, uris=(), grant_types=f"refresh_token {DEVICE_CODE}")
        return str(tv.post("/oauth/device_authorization", scope="read").json()["user_code"])

    @pytest.fixture
    def tv(self, user_code: str) -> Any:
        return DeviceCode.objects.get().client

    def press(self, browser: Browser, user_code: str) -> str:
        response = browser.post("/oauth/device", {"user_code": user_code, "decision": "approve"})
        return response.content.decode()

    def test_withdrawn_scopes_do_not_come_back(
        self, tv: Any, user_code: str, signed_in: Browser, alice: Any, meanwhile: Meanwhile
    ) -> None:
        Consent.objects.create(user=alice, client=tv, scope="write profile")
        meanwhile(lambda: withdraw(user=alice, client=tv, now=timezone.now()))
        assert "Device connected" in self.press(signed_in, user_code)
        assert Consent.objects.get().scopes == ("read",)

    @pytest.mark.parametrize("before", ["", "profile"])
    def test_answer_of_a_tab_at_the_same_moment_stays(
        self, tv: Any, user_code: str, signed_in: Browser, alice: Any, meanwhile: Meanwhile, before: str
    ) -> None:
        def tab() -> None:
            Consent.objects.update_or_create(user=alice, client=tv, defaults={"scope": f"{before} write".strip()})

        if before:
            Consent.objects.create(user=alice, client=tv, scope=before)
        meanwhile(tab)
        assert "Device connected" in self.press(signed_in, user_code)
        assert Consent.objects.get().scopes == (*filter(None, [before]), "write", "read")

    @pytest.mark.parametrize("before", ["", "profile"])
    def test_answered_in_the_meantime_changes_no_consent(
        self, tv: Any, user_code: str, signed_in: Browser, alice: Any, meanwhile: Meanwhile, before: str
    ) -> None:
        if before:
            Consent.objects.create(user=alice, client=tv, scope=before)
        meanwhile(lambda: DeviceCode.objects.update(denied_at=timezone.now()))
        assert "Answered already" in self.press(signed_in, user_code)
        assert [given.scope for given in Consent.objects.all()] == [*filter(None, [before])]
