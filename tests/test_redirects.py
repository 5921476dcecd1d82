"""Sending the browser away: a redirect for programs, a page for browsers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client as Browser

from django_pkce_auth.redirects import arrive, leave
from tests.four_steps import App

URL = 'https://app.example/callback?code=a&state="><script>'
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    "path", ["link", "/oauth/authorize", "/oauth/apps", "/oauth/device", "/connect/", "/connect/x/"]
)
def test_no_cache_keeps_a_page_of_a_person(app: App, alice: Any, path: str) -> None:
    browser = Browser()
    browser.force_login(alice)
    response = browser.get(app.link() if path == "link" else path)
    assert response.status_code in (200, 400, 404)
    assert response["Cache-Control"] == "private, no-store"


def away(rf: Any, url: str = URL, **headers: str) -> HttpResponse:
    response = leave(rf.post("/", headers=headers), url, destination="app.example")
    assert isinstance(response, HttpResponse)
    assert response["Cache-Control"] == "private, no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    return response


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "navigate"},
    ],
)
def test_program_gets_303_rfc9700_4_12(headers: dict[str, str], rf: Any) -> None:
    response = away(rf, **headers)
    assert response.status_code == 303
    assert "code=a" in response["Location"]
    assert response.content == b""


def test_browser_gets_a_page_that_goes_on_by_itself_and_has_a_link(rf: Any) -> None:
    response = away(rf, **NAVIGATION)
    assert response.status_code == 200
    assert response["Refresh"] == f"0;url={URL}"
    page = BeautifulSoup(response.content, "html.parser")
    assert page.select_one("a.pkce-button")["href"] == URL
    assert "app.example" in page.h1.text


def test_page_has_no_inline_script_or_style_and_escapes_the_address(rf: Any) -> None:
    html = away(rf, **NAVIGATION).content.decode()
    assert "<script" not in html
    assert "style=" not in html
    assert "javascript:" not in html


@pytest.mark.parametrize("url", ["com.example.app:/callback?code=a", "http://127.0.0.1:5000/callback?code=a"])
def test_private_use_schemes_and_loopback_are_reached_rfc8252_7(url: str, rf: Any) -> None:
    assert away(rf, url)["Location"] == url
    page = BeautifulSoup(away(rf, url, **NAVIGATION).content, "html.parser")
    assert page.select_one("a.pkce-button")["href"] == url


def test_page_that_is_loaded_again_is_on_this_host_whatever_its_path(rf: Any, settings: Any) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    again = arrive(rf.get("/", {"code": "a"}, PATH_INFO="//evil.example/connect/acme/callback"))
    assert again is not None
    assert again["Refresh"] == "0;url=/%2Fevil.example/connect/acme/callback?code=a&pkce_auth_arrived=1"


@pytest.mark.parametrize(
    ("login_url", "next_url"),
    [
        ("https://accounts.example/login/?theme=a", "https://testserver{path}"),
        ("//accounts.example/login/", "https://testserver{path}"),
        ("http://testserver/login/", "https://testserver{path}"),
        ("https://testserver/login/", "{path}"),
        ("/login/", "{path}"),
    ],
)
def test_log_in_page_of_another_host_is_told_which_host_to_lead_back_to(
    login_url: str, next_url: str, app: App, settings: Any
) -> None:
    settings.LOGIN_URL = login_url
    for page in (app.link(), f"{app.link()}&prompt=login", "/connect/acme/?next=/x"):
        there = urlsplit(Browser().get(page)["Location"])
        back = parse_qs(there.query)["next"][0]
        assert back.split("?")[0] == next_url.format(path=page.split("?")[0])


def test_switch_at_a_log_in_page_of_another_host_leads_back(app: App, alice: Any, settings: Any) -> None:
    settings.LOGIN_URL = "https://accounts.example/login/"
    browser = Browser()
    browser.force_login(alice)
    there = urlsplit(browser.post(app.link(), {"decision": "switch"})["Location"])
    assert parse_qs(there.query)["next"] == [f"https://testserver{app.link()}"]
