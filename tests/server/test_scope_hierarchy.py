"""``implies``: a broader scope opens what a narrower one does, and never the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from tests.four_steps import App, approve, bearer, returned
from tests.server.test_token_request import refused

SCOPES = {
    "read": "Read your data",
    "write": {"words": "Change your data", "implies": ["read"]},
    "profile": {"words": "Everything", "implies": ["write"]},
}


@pytest.fixture(autouse=True)
def hierarchy(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": SCOPES}


def statuses(app: App, browser: Browser, *scopes: str) -> dict[str, int]:
    token = app.redeem(approve(browser, app.link(scopes=scopes))["code"]).json()["access_token"]
    paths = ("/api/read", "/api/async", "/api/write")
    return {path: Browser().get(path, headers=bearer(token)).status_code for path in paths}


@pytest.mark.parametrize(("scope", "read", "write"), [("read", 200, 403), ("write", 200, 200), ("profile", 200, 200)])
def test_guard_takes_what_implies_its_scope(app: App, signed_in: Browser, scope: str, read: int, write: int) -> None:
    assert statuses(app, signed_in, scope) == {"/api/read": read, "/api/async": read, "/api/write": write}


def test_answers_name_what_was_granted_and_not_what_it_implies(app: App, signed_in: Browser) -> None:
    tokens = app.redeem(approve(signed_in, app.link(scopes=("write",)))["code"]).json()
    assert tokens["scope"] == "write"
    described: Any = app.post("/oauth/introspect", token=tokens["access_token"])
    assert described.json()["scope"] == "write"


def test_challenge_names_what_the_view_needs(app: App, signed_in: Browser) -> None:
    token = app.redeem(approve(signed_in, app.link(scopes=("read",)))["code"]).json()["access_token"]
    response = Browser().get("/api/write", headers=bearer(token))
    assert 'error="insufficient_scope"' in response["WWW-Authenticate"]
    assert 'scope="read write"' in response["WWW-Authenticate"]


def test_consent_to_the_narrower_scope_does_not_cover_the_broader(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link(scopes=("read",)))
    assert signed_in.get(app.link(scopes=("write",))).status_code == 200
    approve(signed_in, app.link(scopes=("profile",)))
    assert "code" in returned(signed_in.get(app.link(scopes=("write",))))


def test_client_may_ask_only_for_what_it_is_allowed_by_name(register: Any, signed_in: Browser) -> None:
    app = register(scope="profile")
    assert returned(signed_in.get(app.link(scopes=("read",))))["error"] == "invalid_scope"


def test_refresh_can_narrow_to_an_implied_scope_and_not_widen(app: App, signed_in: Browser) -> None:
    given = app.redeem(approve(signed_in, app.link(scopes=("write",)))["code"]).json()
    narrowed: Any = app.refresh(given["refresh_token"], scope="read")
    assert narrowed.json()["scope"] == "read"
    headers = bearer(narrowed.json()["access_token"])
    assert Browser().get("/api/read", headers=headers).status_code == 200
    assert Browser().get("/api/write", headers=headers).status_code == 403
    refused(app.refresh(narrowed.json()["refresh_token"], scope="profile"), "invalid_scope")


def test_hierarchy_that_left_the_settings_opens_nothing_any_more(app: App, signed_in: Browser, settings: Any) -> None:
    token = app.redeem(approve(signed_in, app.link(scopes=("write",)))["code"]).json()["access_token"]
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": {"read": "Read", "write": "Write"}}
    assert Browser().get("/api/read", headers=bearer(token)).status_code == 403
