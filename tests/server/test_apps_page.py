"""/oauth/apps: one row an app, and the way to end its access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client as Browser

from django_pkce_auth.server.models import TokenFamily
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
