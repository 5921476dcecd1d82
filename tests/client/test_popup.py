"""A flow in a window of its own: how it begins, and the page that tells the other window and closes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.contrib.staticfiles import finders
from django.template import RequestContext, Template
from django.test import Client as Browser

from django_pkce_auth.client.models import ConnectAttempt
from tests.client.acme import CODE, Acme, come_back, parameters

POPUP = "0123456789abcdef0123456789abcdef"


def button(rf: Any, user: Any, tag: str) -> BeautifulSoup:
    request = rf.get("/")
    request.user = user
    return BeautifulSoup(
        Template("{% load pkce_auth %}{% " + tag + " %}").render(RequestContext(request)), "html.parser"
    )


@pytest.mark.parametrize("tag", ["connect_button", "login_button"])
def test_button_brings_its_script_from_this_site(tag: str, rf: Any, alice: Any, db: None) -> None:
    html = button(rf, alice, f'{tag} "acme" popup=True')
    assert html.select_one("form[data-pkce-popup] input[name=popup]")["value"] == ""
    (script,) = html.select("script")
    assert script["type"] == "module"
    assert script.text == ""
    assert finders.find(script["src"].removeprefix("/static/"))


@pytest.mark.parametrize("tag", ["connect_button", "login_button"])
def test_button_without_popup_has_no_script(tag: str, rf: Any, alice: Any, db: None) -> None:
    html = button(rf, alice, f'{tag} "acme"')
    assert html.select("script, [data-pkce-popup], [name=popup]") == []


def test_flow_in_a_window_ends_at_the_page_that_closes_it(signed_in: Browser, acme: Acme) -> None:
    begun = signed_in.post("/connect/acme/", {"popup": POPUP, "next": "/albums?page=2"})
    done = come_back(signed_in, code=CODE, state=parameters(begun)["state"])
    page = BeautifulSoup(signed_in.get(done["Location"]).content, "html.parser")
    told = page.select_one("#pkce-finished")
    assert (told["data-popup"], told["data-next"]) == (POPUP, "/albums?page=2")
    assert page.select_one("a.pkce-button")["href"] == "/albums?page=2"
    assert finders.find(page.select_one("script[type=module]")["src"].removeprefix("/static/"))


def test_log_in_in_a_window_ends_there_too(db: None, acme: Acme) -> None:
    browser = Browser()
    begun = browser.post("/connect/acme/login", {"popup": POPUP})
    done = come_back(browser, code=CODE, state=parameters(begun)["state"])
    assert urlsplit(done["Location"]).path == "/connect/finished"
    assert "_auth_user_id" in browser.session


def test_visitor_who_logs_in_first_ends_there_too(client: Browser, db: None) -> None:
    login = client.post("/connect/acme/", {"popup": POPUP, "next": "/albums"})["Location"]
    start = parse_qs(urlsplit(login).query)["next"][0]
    assert parse_qs(urlsplit(start).query)["next"] == [f"/connect/finished?next=%2Falbums&popup={POPUP}"]


@pytest.mark.parametrize("name", ["", "short", "a" * 65, '"><script>aaaaaaaaaa', "a" * 20 + "\n", "ä" * 20])
def test_name_that_our_script_does_not_draw_counts_as_none(name: str, signed_in: Browser) -> None:
    signed_in.post("/connect/acme/", {"popup": name, "next": "/albums"})
    assert ConnectAttempt.objects.get().next_url == "/albums"
    page = BeautifulSoup(signed_in.get("/connect/finished", {"popup": name}).content, "html.parser")
    assert page.select("script") == []


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
def test_finished_page_leads_nowhere_else(url: str, signed_in: Browser) -> None:
    page = BeautifulSoup(signed_in.get("/connect/finished", {"popup": POPUP, "next": url}).content, "html.parser")
    assert page.select_one("#pkce-finished")["data-next"] == ""
    assert page.select_one("a.pkce-button")["href"] == "/connect/"


def test_finished_page_is_never_framed_or_cached(signed_in: Browser) -> None:
    response = signed_in.get("/connect/finished", {"popup": POPUP})
    assert response["X-Frame-Options"] == "DENY"
    assert "no-store" in response["Cache-Control"]
    assert signed_in.post("/connect/finished").status_code == 405


def again(response: Any) -> dict[str, list[str]]:
    link = BeautifulSoup(response.content, "html.parser").select_one("a.pkce-button")["href"]
    assert urlsplit(link).path == "/connect/acme/"
    return parse_qs(urlsplit(link).query)


def test_start_again_begins_the_same_flow(signed_in: Browser, acme: Acme) -> None:
    begun = signed_in.post("/connect/acme/", {"next": "/albums", "scope": "photos.write"})
    denied = come_back(signed_in, error="access_denied", state=parameters(begun)["state"])
    assert again(denied) == {"next": ["/albums"], "scope": ["photos profile photos.write"]}


def test_start_again_tells_another_user_nothing_of_the_first_ones_flow(signed_in: Browser, bob: Any) -> None:
    begun = signed_in.post("/connect/acme/", {"next": "/albums"})
    signed_in.force_login(bob)
    assert again(come_back(signed_in, code=CODE, state=parameters(begun)["state"])) == {}


def test_start_again_tells_another_browser_nothing(signed_in: Browser, alice: Any) -> None:
    begun = signed_in.post("/connect/acme/", {"next": "/albums"})
    elsewhere = Browser()
    elsewhere.force_login(alice)
    assert again(come_back(elsewhere, code=CODE, state=parameters(begun)["state"])) == {}
