"""``SESSION_COOKIE_SAMESITE = "Strict"``: who comes from another site brings no session, and is sent round once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.conf import settings as django_settings
from django.test import Client as Browser

from django_pkce_auth.client.models import ConnectAttempt, Connection
from tests.client.acme import CODE, Acme, begin


@pytest.fixture(autouse=True)
def strict(settings: Any) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"


def from_another_site(browser: Browser, url: str) -> Any:
    """Open ``url`` as a browser does that comes from elsewhere: with Lax cookies, without Strict ones."""
    held_back = browser.cookies.pop(django_settings.SESSION_COOKIE_NAME, None)
    response = browser.get(url)
    if held_back is not None:
        browser.cookies[django_settings.SESSION_COOKIE_NAME] = held_back.value
    return response


def goes_on_to(response: Any) -> str:
    assert response.status_code == 200
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    seconds, _, url = response["Refresh"].partition(";url=")
    assert seconds == "0"
    assert urlsplit(url).netloc == ""
    return str(url)


def callback(state: str) -> str:
    return f"/connect/acme/callback?{urlencode({'code': CODE, 'state': state})}"


def test_user_who_comes_back_is_sent_round_and_is_still_signed_in(signed_in: Browser, alice: Any, acme: Acme) -> None:
    state = begin(signed_in)["state"]
    again = goes_on_to(from_another_site(signed_in, callback(state)))
    assert not Connection.objects.exists()
    assert ConnectAttempt.objects.get().taken_at is None
    assert acme.asked() == []
    assert signed_in.get(again)["Location"] == "/connect/"
    assert Connection.objects.get().user == alice


def test_visitor_without_a_session_is_sent_round_once(db: None, acme: Acme) -> None:
    browser = Browser()
    state = begin(browser, login=True)["state"]
    again = goes_on_to(from_another_site(browser, callback(state)))
    assert browser.get(again).status_code == 302
    assert "_auth_user_id" in browser.session


def test_sent_round_is_no_way_into_another_users_attempt(signed_in: Browser, bob: Any, acme: Acme) -> None:
    state = begin(signed_in)["state"]
    again = goes_on_to(from_another_site(signed_in, callback(state)))
    signed_in.force_login(bob)
    assert signed_in.get(again).status_code == 400
    assert not Connection.objects.exists()


def test_session_that_came_along_is_used_at_once(signed_in: Browser, acme: Acme) -> None:
    assert signed_in.get(callback(begin(signed_in)["state"])).status_code == 302


@pytest.mark.parametrize("query", ["", "a", "%00&state=x", "x" * 20_000, '"><script>', "\r\nSet-Cookie: a=b"])
def test_any_query_is_no_error_and_stays_on_this_host(query: str, db: None) -> None:
    response = Browser().get("/connect/acme/callback", QUERY_STRING=query)
    url = goes_on_to(response)
    assert url.startswith("/connect/acme/callback?")
    assert Browser().get(url).status_code == 400
    assert "<script>" not in response.content.decode()


@pytest.mark.parametrize("mode", ["Lax", "None", None, False])
def test_other_modes_are_left_alone(mode: Any, settings: Any, db: None) -> None:
    settings.SESSION_COOKIE_SAMESITE = mode
    assert "Refresh" not in Browser().get("/connect/acme/callback")


def test_authorization_request_of_a_signed_in_user_needs_no_second_log_in(signed_in: Browser, app: Any) -> None:
    again = goes_on_to(from_another_site(signed_in, app.link()))
    assert "Photo App" in signed_in.get(again).content.decode()
    answer = signed_in.post(again, {"decision": "approve"})
    assert "code=" in answer["Location"]
