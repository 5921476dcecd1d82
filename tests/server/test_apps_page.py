"""/oauth/apps: one row an app, and the way to end its access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth.server.models import Client, Consent, TokenFamily
from tests.four_steps import App, approve, bearer


def test_page_shows_an_app_once_however_many_sessions_it_has(
    app: App, signed_in: Browser, alice: Any, django_assert_num_queries: Any
) -> None:
    approve(signed_in, app.link())
    with django_assert_num_queries(4):
        signed_in.get("/oauth/apps")
    TokenFamily.objects.bulk_create(TokenFamily(client=app.client, user=alice, scope="read") for _ in range(300))
    with django_assert_num_queries(4):
        text = signed_in.get("/oauth/apps").content.decode()
    assert text.count("Photo App</b>") == 1
    assert "Read your data" in text


def test_removal_asks_first_and_then_ends_access_at_once(app: App, signed_in: Browser) -> None:
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    assert "Remove the access of Photo App?" in signed_in.get("/oauth/apps?revoke=photo-app").content.decode()
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 200
    assert signed_in.post("/oauth/apps", {"client_id": "photo-app"}).status_code == 302
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert "No app has access" in signed_in.get("/oauth/apps").content.decode()


def test_access_of_another_user_is_not_mine_to_end(app: App, signed_in: Browser, django_user_model: Any) -> None:
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    mallory = Browser()
    mallory.force_login(django_user_model.objects.create_user("mallory"))
    assert mallory.post("/oauth/apps", {"client_id": "photo-app"}).status_code == 404
    assert mallory.get("/oauth/apps?revoke=photo-app").status_code == 404
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 200


def test_page_needs_a_sign_in_and_a_csrf_token(app: App, alice: Any) -> None:
    assert Browser().get("/oauth/apps")["Location"].startswith("/login/")
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post("/oauth/apps", {"client_id": "photo-app"}).status_code == 403


def test_other_apps_keep_their_access(app: App, register: Callable[..., App], signed_in: Browser) -> None:
    other = register(client_id="other")
    kept = other.redeem(approve(signed_in, other.link())["code"]).json()
    approve(signed_in, app.link())
    signed_in.post("/oauth/apps", {"client_id": "photo-app"})
    assert Browser().get("/api/read", headers=bearer(kept["access_token"])).status_code == 200


@pytest.mark.parametrize("client_id", ["", "\0", "photo-app\0", "PHOTO-APP", "é", "x" * 5000, "photo-app ", "<b>"])
def test_app_that_i_have_not_allowed_is_not_found(app: App, signed_in: Browser, client_id: str) -> None:
    approve(signed_in, app.link())
    assert signed_in.get("/oauth/apps", {"revoke": client_id}).status_code == 404
    assert signed_in.post("/oauth/apps", {"client_id": client_id}).status_code == 404
    assert Consent.objects.count() == 1


def test_link_alone_removes_nothing(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link())
    for query in ("?revoke=photo-app", "?client_id=photo-app", "?revoke=photo-app&client_id=photo-app"):
        signed_in.get(f"/oauth/apps{query}")
        signed_in.head(f"/oauth/apps{query}")
    assert signed_in.post("/oauth/apps?client_id=photo-app", {}).status_code == 404
    assert Consent.objects.count() == 1


def test_removal_reaches_every_device_and_no_other_user(
    app: App, signed_in: Browser, django_user_model: Any, opens: Any
) -> None:
    mine = [app.redeem(approve(signed_in, app.link())["code"]).json()["access_token"] for _ in range(3)]
    other = Browser()
    other.force_login(django_user_model.objects.create_user("bob"))
    theirs = app.redeem(approve(other, app.link())["code"]).json()["access_token"]
    signed_in.post("/oauth/apps", {"client_id": "photo-app"})
    assert [opens(token) for token in (*mine, theirs)] == [False, False, False, True]
    reasons = TokenFamily.objects.exclude(revoked_at=None).values_list("revoked_reason", flat=True)
    assert list(reasons) == ["user"] * 3


def test_removal_of_what_is_gone_already_is_not_found(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link())
    assert signed_in.post("/oauth/apps", {"client_id": "photo-app"}).status_code == 302
    assert signed_in.post("/oauth/apps", {"client_id": "photo-app"}).status_code == 404


def test_page_tells_of_a_hostile_name_as_text_and_of_a_scope_that_is_gone(
    app: App, signed_in: Browser, settings: Any
) -> None:
    Client.objects.update(name="<script>alert(1)</script>", client_id='a"b&c')
    app.client.refresh_from_db()
    approve(signed_in, app.link())
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": {"write": "Change"}}
    text = signed_in.get("/oauth/apps").content.decode()
    assert "<script>" not in text
    assert "<li>read</li>" in text
    assert 'href="?revoke=a%22b%26c"' in text
    assert signed_in.get("/oauth/apps?revoke=a%22b%26c").status_code == 200


def test_page_of_many_apps_costs_the_same(
    register: Callable[..., App], signed_in: Browser, alice: Any, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        other = register(client_id=f"app-{number}")
        Consent.objects.create(user=alice, client=other.client, scope="read write")
    with django_assert_num_queries(4):
        assert signed_in.get("/oauth/apps").content.count(b"Remove access") >= 20


@pytest.mark.parametrize("path", ["/oauth/apps", "/oauth/apps/", "/oauth/apps?revoke=photo-app"])
def test_page_is_neither_cached_nor_framed(app: App, signed_in: Browser, path: str) -> None:
    approve(signed_in, app.link())
    response = signed_in.get(path)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
