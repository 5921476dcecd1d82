"""Providers that are entered in the admin, beside those of the settings."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection as database
from django.template import engines
from django.test import Client as Browser
from django.test import RequestFactory

from django_pkce_auth.client.models import Connection, Provider
from django_pkce_auth.client.registry import guarded
from django_pkce_auth.provider_settings import parse_provider
from django_pkce_auth.transport import HttpTransport
from tests.client.acme import CODE, Acme, as_json, begin, come_back

SECRET = "the-secret-that-beta-gave-us-0123456789"
ROW = {
    "slug": "beta",
    "name": "Beta",
    "authorize_url": "https://beta.example/authorize",
    "token_url": "https://beta.example/token",
    "userinfo_url": "https://beta.example/me",
    "client_id": "us-at-beta",
    "scope": "files",
}


@pytest.fixture
def beta(db: None) -> Provider:
    return Provider.objects.create(**ROW, raw_client_secret=SECRET)


@pytest.fixture
def admin(django_user_model: Any, db: None) -> Browser:
    browser = Browser()
    browser.force_login(django_user_model.objects.create_superuser("root", "root@example.com", "x"))
    return browser


def test_entered_provider_connects_an_account(signed_in: Browser, beta: Provider, acme: Acme) -> None:
    acme.answers["https://beta.example/token"] = as_json({"access_token": "t", "token_type": "bearer"})
    acme.answers["https://beta.example/me"] = as_json({"sub": "7", "name": "Al"})
    asked = begin(signed_in, provider="beta")
    assert asked["client_id"] == "us-at-beta"
    assert asked["redirect_uri"] == "https://testserver/connect/beta/callback"
    assert asked["code_challenge_method"] == "S256"
    assert come_back(signed_in, provider="beta", code=CODE, state=asked["state"]).status_code == 302
    assert Connection.objects.get().provider == "beta"
    assert "Connect another Beta account" in signed_in.get("/connect/").content.decode()


@pytest.mark.parametrize("change", [{"enabled": False}, {"slug": "Beta"}, {"token_url": ""}])
def test_row_that_is_off_or_unusable_is_no_provider(
    change: dict[str, Any], signed_in: Browser, beta: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    Provider.objects.update(**change)
    assert signed_in.get("/connect/beta/").status_code == 404
    assert signed_in.get("/connect/").status_code == 200


@pytest.mark.parametrize("change", [{"enabled": False}, {"token_url": ""}])
def test_pages_with_a_button_or_a_link_outlive_a_row_that_is_off(
    change: dict[str, Any], beta: Provider, alice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    Provider.objects.update(**change)
    request = RequestFactory().get("/")
    request.user = alice
    request._pkce_auth_sends_cookie = True  # type: ignore[attr-defined]
    source = (
        '{% load pkce_auth %}[{% connect_button "beta" %}{% login_button "beta" popup=True %}]{% connect_url "beta" %}'
    )
    page = engines["django"].from_string(source).render({}, request)
    assert page == "[]/connect/beta/"


def test_settings_go_before_the_admin_and_the_clash_is_an_error(
    signed_in: Browser, beta: Provider, pkce_auth: Any
) -> None:
    Provider.objects.update(slug="acme")
    assert begin(signed_in)["client_id"] == "us-at-acme"
    with pytest.raises(SystemCheckError, match=r"pkce_auth\.E030"):
        call_command("check", databases=["default"])


def test_secret_is_encrypted_in_the_table(beta: Provider) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT client_secret FROM pkce_auth_provider")
        assert SECRET not in cursor.fetchone()[0]
    assert Provider.objects.get().raw_client_secret == SECRET


def test_admin_takes_a_secret_and_never_shows_it(admin: Browser) -> None:
    response = admin.post(
        "/admin/pkce_auth/provider/add/", {**ROW, "client_secret": SECRET, "extra_authorize_parameters": "{}"}
    )
    assert response.status_code == 302, response.content.decode()
    row = Provider.objects.get()
    page = admin.get(f"/admin/pkce_auth/provider/{row.pk}/change/").content.decode()
    assert SECRET not in page
    assert "https://testserver/connect/beta/callback" in page
    fields = {**ROW, "name": "Beta two", "client_secret": "", "extra_authorize_parameters": "{}"}
    assert admin.post(f"/admin/pkce_auth/provider/{row.pk}/change/", fields).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.raw_client_secret) == ("Beta two", SECRET)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"slug": "acme"}, "slug", "choose another one"),
        ({"token_url": "http://beta.example/token"}, "token_url", "https://"),
        ({"issuer": "http://127.0.0.1:8000"}, "issuer", "https://"),
        ({"token_url": ""}, None, "needs"),
        ({"scope": 'a"b'}, None, "can't be a scope"),
        ({"extra_authorize_parameters": '{"max_age": 0}'}, None, "'max_age': 0; both must be printable strings"),
        ({"extra_authorize_parameters": "[]"}, "extra_authorize_parameters", "a JSON object"),
        ({"extra_authorize_parameters": '{"a": "\\ud800"}'}, "extra_authorize_parameters", "a JSON object"),
        ({"extra_authorize_parameters": "9" * 5000}, "extra_authorize_parameters", "a JSON object"),
    ],
)
def test_admin_explains_what_is_wrong(change: dict[str, str], field: str | None, words: str, admin: Browser) -> None:
    fields = {**ROW, "extra_authorize_parameters": "{}", **change}
    page = admin.post("/admin/pkce_auth/provider/add/", fields)
    assert page.status_code == 200
    parsed = BeautifulSoup(page.content, "html.parser")
    where = parsed.select_one(f".field-{field} .errorlist" if field else ".errorlist.nonfield")
    assert where is not None
    assert words in where.get_text()
    assert not Provider.objects.exists()


@pytest.mark.parametrize("emptied", ["", "null", "{}"])
def test_extra_parameters_may_be_emptied(emptied: str, admin: Browser) -> None:
    fields = {**ROW, "extra_authorize_parameters": emptied}
    assert admin.post("/admin/pkce_auth/provider/add/", fields).status_code == 302
    assert Provider.objects.get().extra_authorize_parameters == {}


def test_entered_provider_is_reached_at_public_addresses_only() -> None:
    entry = parse_provider("beta", {"issuer": "https://beta.example", "client_id": "us"})
    transport = HttpTransport()
    assert guarded(transport, entry) is transport
    from dataclasses import replace

    reached = guarded(transport, replace(entry, from_admin=True))
    assert isinstance(reached, HttpTransport)
    assert reached.public_only


def test_admin_forgets_tokens_and_keeps_the_row(admin: Browser, alice: Any, caplog: pytest.LogCaptureFixture) -> None:
    row = Connection.objects.create(user=alice, provider="acme", raw_access_token="a", raw_refresh_token="b")
    other = Connection.objects.create(user=alice, provider="beta", raw_access_token="a")
    assert "Revoke here" in admin.get("/admin/pkce_auth/connection/").content.decode()
    for _ in range(2):
        admin.post("/admin/pkce_auth/connection/", {"action": "revoke", "_selected_action": [row.pk]})
    lines = [line for line in caplog.records if getattr(line, "event", "") == "connection_revoked"]
    assert [line.getMessage().rpartition(" ")[0] for line in lines] == [f"Connection {row.pk} was revoked here by user"]
    other.refresh_from_db()
    assert (other.status, other.raw_access_token) == ("active", "a")
    row.refresh_from_db()
    assert (row.status, row.raw_access_token, row.raw_refresh_token) == ("revoked", "", "")
    assert admin.get(f"/admin/pkce_auth/connection/{row.pk}/change/").status_code == 200
