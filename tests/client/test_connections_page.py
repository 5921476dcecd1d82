"""The page "Accounts you connected"."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from cryptography.fernet import Fernet
from django.test import Client as Browser

from django_pkce_auth.client.models import Connection
from tests.client.acme import ACCESS_TOKEN, Acme, connect


def page(browser: Browser) -> str:
    response = browser.get("/connect/")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return BeautifulSoup(response.content, "html.parser").get_text(" ", strip=True)


def test_page_shows_only_my_accounts(signed_in: Browser, connection: Connection, bob: Any, acme: Acme) -> None:
    acme.account(sub="7", preferred_username="bob@acme")
    other = Browser()
    other.force_login(bob)
    connect(other)
    assert "alice@acme" in page(signed_in)
    assert "bob@acme" not in page(signed_in)
    assert "bob@acme" in page(other)
    assert "alice@acme" not in page(other)


def test_page_needs_a_log_in(db: None) -> None:
    response = Browser().get("/connect/")
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/connect/")


def test_page_shows_no_token(signed_in: Browser, connection: Connection) -> None:
    html = signed_in.get("/connect/").content.decode()
    assert ACCESS_TOKEN not in html
    assert connection.raw_refresh_token not in html


def test_page_takes_as_many_queries_for_many_accounts_as_for_one(
    signed_in: Browser, connection: Connection, alice: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(4):
        page(signed_in)
    Connection.objects.bulk_create(
        Connection(user=alice, provider="acme", label=f"account {number}", raw_access_token="t") for number in range(20)
    )
    with django_assert_num_queries(4):
        assert "account 19" in page(signed_in)


def test_page_says_which_account_needs_to_be_connected_again(signed_in: Browser, connection: Connection) -> None:
    Connection.objects.update(status="needs_reconnect")
    assert "Needs to be connected again" in page(signed_in)


def test_page_works_with_a_lost_key_and_for_a_provider_that_left(
    signed_in: Browser, connection: Connection, pkce_auth: Any, log: Any
) -> None:
    pkce_auth(ENCRYPTION_KEYS=[Fernet.generate_key().decode()], PROVIDERS={})
    assert "alice@acme" in page(signed_in)
    assert not log.errors


def test_label_from_the_provider_is_escaped(signed_in: Browser, acme: Acme) -> None:
    acme.account(preferred_username="<script>alert(1)</script>")
    connect(signed_in)
    assert "<script>" not in signed_in.get("/connect/").content.decode()


def test_several_accounts_at_one_provider_can_be_told_apart(signed_in: Browser, acme: Acme) -> None:
    connect(signed_in)
    acme.account(sub="43", preferred_username="alice-at-work@acme")
    connect(signed_in)
    acme.account(sub="dbid:AAH44", preferred_username=None, email=None)
    connect(signed_in)
    assert Connection.objects.count() == 3
    text = page(signed_in)
    names = ("alice@acme", "alice-at-work@acme", "dbid:AAH44")
    for name in names:
        # Once for the eye, once on its button for who hears the page.
        assert text.count(f"Acme {name}") == 1
        assert text.count(f"Acme · {name}") == 1
    assert "Connect another Acme account" in text
    for row in Connection.objects.all():
        asked = signed_in.get(f"/connect/?disconnect={row.pk}").content.decode()
        assert [name for name in names if f"<b>{name}</b>" in asked] == [row.account_name]


def test_provider_that_names_no_account_has_one_connection_of_each_user(
    signed_in: Browser, pkce_auth: Any, acme: Acme
) -> None:
    pkce_auth.provider(userinfo_url=None)
    connect(signed_in)
    connect(signed_in)
    assert Connection.objects.get().account_name == ""
    assert "Connect your Acme account again" in page(signed_in)


def test_label_that_the_project_gave_stays(signed_in: Browser, pkce_auth: Any) -> None:
    pkce_auth.provider(userinfo_url=None)
    connect(signed_in)
    Connection.objects.update(label="The club's account")
    connect(signed_in)
    assert "The club's account" in page(signed_in)
