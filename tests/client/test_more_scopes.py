"""Asking for more scopes, and connecting again: the union of old and new, and the row stays."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from django.test import Client as Browser

from django_pkce_auth.client.models import ConnectAttempt, Connection
from tests.client.acme import CODE, Acme, come_back, parameters


def ask(browser: Browser, connection: Connection, scope: str) -> dict[str, str]:
    return parameters(browser.post("/connect/acme/", {"scope": scope, "connection": connection.pk}))


def test_one_more_scope_is_asked_beside_the_old_ones(signed_in: Browser, connection: Connection, acme: Acme) -> None:
    Connection.objects.update(scope="photos albums")
    asked = ask(signed_in, connection, "photos.write")
    assert asked["scope"] == "photos albums profile photos.write"
    acme.tokens(scope=None)
    come_back(signed_in, code=CODE, state=asked["state"])
    after = Connection.objects.get()
    assert after.pk == connection.pk
    assert after.scopes == ("photos", "albums", "profile", "photos.write")


def test_scope_that_was_asked_but_not_granted_is_not_stored(
    signed_in: Browser, connection: Connection, acme: Acme
) -> None:
    acme.tokens(scope="photos")
    come_back(signed_in, code=CODE, state=ask(signed_in, connection, "photos.write")["state"])
    assert Connection.objects.get().scopes == ("photos",)


def test_connection_of_another_user_lends_no_scopes(connection: Connection, bob: Any) -> None:
    Connection.objects.update(scope="photos secret")
    browser = Browser()
    browser.force_login(bob)
    assert ask(browser, connection, "")["scope"] == "photos profile"
    assert ConnectAttempt.objects.get(user=bob).connection is None


def test_malformed_scope_is_refused_and_begins_nothing(signed_in: Browser, connection: Connection) -> None:
    before = ConnectAttempt.objects.count()
    assert signed_in.post("/connect/acme/", {"scope": 'a"b'}).status_code == 400
    assert ConnectAttempt.objects.count() == before


def test_start_page_keeps_what_its_link_asks_for(signed_in: Browser, connection: Connection) -> None:
    page = signed_in.get(f"/connect/acme/?scope=photos.write&connection={connection.pk}&next=/api/read")
    form = BeautifulSoup(page.content, "html.parser").select_one("form.pkce-connect")
    assert form is not None
    fields = {field["name"]: field["value"] for field in form.select("input")}
    assert fields["scope"] == "photos.write"
    assert fields["connection"] == str(connection.pk)
    assert fields["next"] == "/api/read"


def test_broken_connection_can_be_connected_again_and_keeps_its_row(
    signed_in: Browser, connection: Connection, acme: Acme
) -> None:
    Connection.objects.update(status="needs_reconnect")
    page = BeautifulSoup(signed_in.get("/connect/").content, "html.parser")
    field = page.select_one(".pkce-list input[name=connection]")
    assert field is not None
    assert field["value"] == str(connection.pk)
    come_back(signed_in, code=CODE, state=ask(signed_in, connection, "")["state"])
    after = Connection.objects.get()
    assert (after.pk, after.status) == (connection.pk, "active")


def test_scopes_are_shown_in_the_words_of_the_settings(
    signed_in: Browser, connection: Connection, pkce_auth: Any
) -> None:
    pkce_auth.provider(scopes={"photos": "See your photos", "profile": "See who you are"})
    text = signed_in.get("/connect/").content.decode()
    assert "See your photos" in text
    assert "See who you are" in text
