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
