"""Both roles in one process: the project's client connects to the project's own server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.errors import ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.server.models import RefreshToken, TokenFamily
from django_pkce_auth.transport import Answer
from tests.client.acme import InProcessPolicy
from tests.four_steps import App, bearer

CALLBACK = "https://testserver/connect/home/callback"


class OwnServer:
    """A transport into this process's own views."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc) == ("https", "testserver")
        body = urlencode([(name, value) for name, value in form or () if value])
        response = Browser(enforce_csrf_checks=True).generic(
            method, parts.path, body, "application/x-www-form-urlencoded", secure=True, headers=headers
        )
        return Answer(response.status_code, response.content, {name.lower(): value for name, value in response.items()})


@pytest.fixture
def home(register: Any, pkce_auth: Any, settings: Any) -> App:
    """This project as a client of itself, known by its issuer alone."""
    app = register(client_id="ourselves", uris=(CALLBACK,), name="Ourselves")
    settings.ROOT_URLCONF = "tests.client.urls"
    pkce_auth.provider(
        "home",
        issuer="https://testserver",
        userinfo_url="https://testserver/api/me",
        client_id="ourselves",
        client_secret=app.secret,
        scopes=["read", "profile"],
        login=True,
        create_users=True,
    )
    InProcessPolicy.current = OwnServer()
    return app


@pytest.fixture
def at_the_server(bob: Any) -> Browser:
    """Bob's browser, signed in at the authorization server."""
    browser = Browser()
    browser.force_login(bob)
    return browser


def walk(browser: Browser, at_the_server: Browser, *, decision: str = "approve", path: str = "/connect/home/") -> Any:
    link = browser.post(path, {"next": "/albums"})["Location"]
    assert link.startswith("https://testserver/oauth/authorize?")
    prompt = at_the_server.get(link)
    if prompt.status_code == 200:
        assert "Ourselves" in BeautifulSoup(prompt.content, "html.parser").text
        prompt = at_the_server.post(link, {"decision": decision})
    back = prompt["Location"]
    assert back.startswith(CALLBACK)
    return browser.get(back)


def test_account_at_our_own_server_is_connected_and_its_api_called(
    home: App, signed_in: Browser, at_the_server: Browser, alice: Any, bob: Any
) -> None:
    assert walk(signed_in, at_the_server)["Location"] == "/albums"
    connection = Connection.objects.get()
    assert (connection.user, connection.subject, connection.label) == (alice, str(bob.pk), "bob")
    assert connection.scopes == ("read", "profile")
    answer = Browser().get("/api/read", headers=bearer(connection.access_token()))
    assert answer.json() == {"user": "bob", "client": "ourselves"}


def test_token_is_refreshed_and_rotated_when_it_runs_out(home: App, signed_in: Browser, at_the_server: Browser) -> None:
    walk(signed_in, at_the_server)
    connection = Connection.objects.get()
    first = connection.access_token()
    for _ in range(2):
        Connection.objects.update(access_token_expires_at=timezone.now())
        second = Connection.objects.get().access_token()
        assert second != first
        assert Browser().get("/api/read", headers=bearer(second)).status_code == 200
    assert RefreshToken.objects.count() == 3
    assert TokenFamily.objects.get().revoked_at is None


def test_access_that_was_withdrawn_needs_the_user_again(home: App, signed_in: Browser, at_the_server: Browser) -> None:
    walk(signed_in, at_the_server)
    TokenFamily.objects.update(revoked_at=timezone.now())
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ReconnectRequired):
        Connection.objects.get().access_token()
    walk(signed_in, at_the_server)
    assert Connection.objects.get().access_token()


def test_deny_connects_nothing(home: App, signed_in: Browser, at_the_server: Browser) -> None:
    response = walk(signed_in, at_the_server, decision="deny")
    assert response.status_code == 200
    assert "You did not allow access" in response.content.decode()
    assert not Connection.objects.exists()


def test_visitor_logs_in_through_our_own_server(home: App, at_the_server: Browser, bob: Any) -> None:
    browser = Browser()
    assert walk(browser, at_the_server, path="/connect/home/login")["Location"] == "/albums"
    assert browser.session["_auth_user_id"] == str(Connection.objects.get().user.pk) != str(bob.pk)


def test_flow_leaves_no_secret_in_any_log_line(home: App, signed_in: Browser, at_the_server: Browser, log: Any) -> None:
    walk(signed_in, at_the_server)
    connection = Connection.objects.get()
    assert connection.raw_access_token not in log.text
    assert connection.raw_refresh_token not in log.text
    assert home.secret
    assert home.secret not in log.text
