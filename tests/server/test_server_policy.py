"""``PKCE_AUTH["SERVER_POLICY"]``: what a project decides for itself, and that it can only narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client as Browser

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.models import AuthorizationCode, Client, Consent, DeviceCode
from django_pkce_auth.server.policy import ServerPolicy
from django_pkce_auth.server.views import endpoint
from tests.four_steps import App, returned
from tests.server.test_device import enter

UNKNOWN = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}


class Everything(ServerPolicy):
    """Tries to widen."""

    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return ("profile", "write", "read", "root")


class OfStaff(ServerPolicy):
    """``write`` is for staff, and nothing at all for user mallory."""

    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if user.get_username() == "mallory":
            return ()
        return tuple(scope for scope in scopes if scope != "write" or user.is_staff)


class BehindProxy(ServerPolicy):
    def address(self, request: HttpRequest) -> str:
        return request.headers.get("X-Real-IP", "")


@pytest.fixture
def use(settings: Any) -> Callable[[type[ServerPolicy]], None]:
    def set_policy(policy: type[ServerPolicy]) -> None:
        settings.PKCE_AUTH = settings.PKCE_AUTH | {"SERVER_POLICY": f"{__name__}.{policy.__name__}"}

    return set_policy


@pytest.fixture
def mallory(django_user_model: Any) -> Browser:
    browser = Browser()
    browser.force_login(django_user_model.objects.create_user(username="mallory"))
    return browser


def test_scopes_can_not_be_widened(app: App, signed_in: Browser, use: Any) -> None:
    use(Everything)
    page = signed_in.get(app.link()).content.decode()
    assert "Change your data" not in page
    form = {"decision": "approve", "shown": "read write", "scope": ["read", "write"]}
    assert signed_in.post(app.link(), form).status_code == 400
    code = returned(signed_in.post(app.link(), {"decision": "approve"}))["code"]
    assert app.redeem(code).json()["scope"] == "read"


def test_scopes_are_those_of_the_user_who_is_asked(app: App, signed_in: Browser, use: Any, alice: Any) -> None:
    use(OfStaff)
    link = app.link(scopes=("read", "write"))
    assert "Change your data" not in signed_in.get(link).content.decode()
    # What was not shown can't be approved either.
    form = {"decision": "approve", "scope": ["read", "write"]}
    assert signed_in.post(link, form).status_code == 400
    alice.is_staff = True
    alice.save()
    assert "Change your data" in signed_in.get(link).content.decode()
    assert app.redeem(returned(signed_in.post(link, form))["code"]).json()["scope"] == "read write"


def test_scopes_that_the_policy_takes_back_are_not_given_by_a_remembered_consent(
    app: App, signed_in: Browser, use: Any, alice: Any
) -> None:
    Consent.objects.create(user=alice, client=app.client, scope="read write")
    use(OfStaff)
    code = returned(signed_in.get(app.link(scopes=("read", "write"))))["code"]
    assert app.redeem(code).json()["scope"] == "read"


@pytest.mark.parametrize("prompt", [None, "none", "consent"])
def test_nothing_to_grant_is_access_denied_without_a_page(
    app: App, mallory: Browser, use: Any, prompt: str | None
) -> None:
    use(OfStaff)
    assert returned(mallory.get(app.link_with(prompt=prompt)))["error"] == "access_denied"
    assert returned(mallory.post(app.link_with(prompt=prompt), {"decision": "approve"}))["error"] == "access_denied"
    assert not AuthorizationCode.objects.exists()


def test_first_party_client_gets_no_more_than_the_policy_leaves(
    register: Callable[..., App], signed_in: Browser, mallory: Browser, use: Any
) -> None:
    use(OfStaff)
    own = register(first_party=True)
    code = returned(signed_in.get(own.link(scopes=("read", "write"))))["code"]
    assert own.redeem(code).json()["scope"] == "read"
    assert returned(mallory.get(own.link()))["error"] == "access_denied"


def test_device_page_obeys_the_policy(
    register: Callable[..., App], signed_in: Browser, mallory: Browser, use: Any
) -> None:
    use(OfStaff)
    tv = register(client_id="tv", public=True, uris=(), grant_types=DEVICE_CODE)
    codes: Any = tv.post("/oauth/device_authorization", scope="read write")
    user_code = codes.json()["user_code"]
    for more in ({}, {"shown": ""}, {"scope": ["read"]}):
        assert enter(mallory, user_code, "approve", **more).status_code == 400
    assert "Change your data" not in enter(signed_in, user_code).content.decode()
    assert enter(signed_in, user_code, "approve", scope=["read", "write"]).status_code == 400
    assert DeviceCode.objects.get().approved_at is None
    assert enter(signed_in, user_code, "approve").status_code == 200
    assert DeviceCode.objects.get().scope == "read"


def test_address_of_a_failure_is_the_policys(db: None, use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FAILURES", 2)
    use(BehindProxy)

    def status(address: str) -> int:
        return (
            Browser()
            .post(
                "/oauth/token",
                "&".join(f"{name}={value}" for name, value in UNKNOWN.items()),
                content_type="application/x-www-form-urlencoded",
                headers={"X-Real-IP": address},
            )
            .status_code
        )

    assert [status("192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert status("192.0.2.2") == 401
