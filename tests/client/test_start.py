"""The start page, and the authorization request that it sends the browser away with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.test import Client as Browser

from django_pkce_auth.client.models import ConnectAttempt
from django_pkce_auth.protocol.pkce import code_challenge
from django_pkce_auth.transport import TransportError
from tests.client.acme import CODE, Acme, begin, come_back

COOKIE = "__Host-pkce_auth"


@pytest.mark.parametrize("path", ["/connect/acme/", "/connect/acme/login"])
def test_get_of_the_start_page_changes_nothing_and_shows_the_button(path: str, signed_in: Browser) -> None:
    browser = signed_in if path == "/connect/acme/" else Browser()
    response = browser.get(path, {"next": "/albums"})
    form = BeautifulSoup(response.content, "html.parser").select_one("form[method=post]")
    assert form["action"] == path
    assert form.select_one("input[name=next]")["value"] == "/albums"
    assert "Acme" in form.select_one("button").text
    assert not ConnectAttempt.objects.exists()
    assert COOKIE not in response.cookies


def test_post_begins_with_everything_that_the_provider_needs_rfc6749_4_1_1(signed_in: Browser) -> None:
    response = signed_in.post("/connect/acme/")
    assert response.status_code == 303
    assert response["Location"].startswith("https://acme.example/oauth/authorize?")
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "no-referrer"
    sent = {name: value for name, (value,) in parse_qs(urlsplit(response["Location"]).query).items()}
    assert sent.pop("state") != sent.pop("code_challenge")
    assert sent == {
        "response_type": "code",
        "client_id": "us-at-acme",
        "redirect_uri": "https://testserver/connect/acme/callback",
        "scope": "photos profile",
        "code_challenge_method": "S256",
    }


def test_exchange_proves_the_challenge_of_the_request_rfc7636_4_6(signed_in: Browser, acme: Acme) -> None:
    request = begin(signed_in)
    come_back(signed_in, code=CODE, state=request["state"])
    (exchange,) = acme.asked()
    assert exchange.form["code"] == CODE
    assert code_challenge(exchange.form["code_verifier"]) == request["code_challenge"]
    assert exchange.form["redirect_uri"] == request["redirect_uri"]
    assert exchange.headers["Authorization"].startswith("Basic ")
    assert "client_secret" not in exchange.form


def test_state_and_challenge_are_new_for_each_attempt(signed_in: Browser) -> None:
    requests = [begin(signed_in) for _ in range(3)]
    assert len({request["state"] for request in requests}) == 3
    assert len({request["code_challenge"] for request in requests}) == 3


def test_attempt_cookie_is_closed_to_scripts_and_other_hosts(signed_in: Browser) -> None:
    cookie = signed_in.post("/connect/acme/").cookies[COOKIE]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        True,
        "Lax",
        "/",
        "",
    )
    assert 0 < cookie["max-age"] <= 600


def test_attempt_cookie_works_over_http_for_local_work(signed_in: Browser, pkce_auth: Any) -> None:
    pkce_auth(ISSUER="http://localhost:8000")
    cookie = signed_in.post("/connect/acme/").cookies["pkce_auth"]
    assert not cookie["secure"]
    assert cookie["httponly"]


def test_redirect_uri_comes_from_the_issuer_whatever_host_says(signed_in: Browser, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
    assert begin(signed_in, headers=headers)["redirect_uri"] == "https://testserver/connect/acme/callback"


@pytest.mark.parametrize("method", ["get", "post"])
def test_anonymous_visitor_logs_in_first_and_keeps_next(method: str, db: None) -> None:
    response = getattr(Browser(), method)("/connect/acme/", {"next": "/albums"})
    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/connect/acme/%3Fnext%3D%252Falbums"
    assert not ConnectAttempt.objects.exists()


@pytest.mark.parametrize("path", ["/connect/acme/", "/connect/acme/login"])
def test_post_from_another_site_is_refused(path: str, alice: Any) -> None:
    browser = Browser(enforce_csrf_checks=True)
    if not path.endswith("login"):
        browser.force_login(alice)
    assert browser.post(path).status_code == 403
    assert not ConnectAttempt.objects.exists()


def test_button_posts_with_its_own_csrf_token(alice: Any) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    page = BeautifulSoup(browser.get("/connect/acme/").content, "html.parser")
    token = page.select_one("input[name=csrfmiddlewaretoken]")["value"]
    assert browser.post("/connect/acme/", {"csrfmiddlewaretoken": token}).status_code == 303


@pytest.mark.parametrize(
    "path", ["/connect/nobody/", "/connect/nobody/login", "/connect/nobody/callback?code=1&state=2"]
)
def test_unknown_provider_is_a_404_page(path: str, signed_in: Browser) -> None:
    browser = Browser() if path.endswith("login") else signed_in
    response = browser.get(path)
    assert response.status_code == 404
    assert "There is no such account" in response.content.decode()


def test_log_in_page_of_a_provider_without_login_is_a_404(db: None, pkce_auth: Any) -> None:
    pkce_auth.provider(login=False)
    assert Browser().get("/connect/acme/login").status_code == 404
    assert Browser().post("/connect/acme/login").status_code == 404
    assert not ConnectAttempt.objects.exists()


def test_provider_that_can_not_be_reached_gives_a_page_that_says_so(
    signed_in: Browser, pkce_auth: Any, acme: Acme
) -> None:
    pkce_auth.provider(authorize_url=None, token_url=None)
    acme.answers["https://acme.example/.well-known/oauth-authorization-server"] = TransportError("no answer")
    response = signed_in.post("/connect/acme/", {"next": "/albums"})
    assert response.status_code == 503
    page = response.content.decode()
    assert "Acme can&#x27;t be reached" in page
    assert "/connect/acme/?next=%2Falbums" in page


def test_page_is_left_by_a_page_where_a_form_action_policy_would_stop_a_redirect(signed_in: Browser) -> None:
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    response = signed_in.post("/connect/acme/", headers=headers)
    assert response.status_code == 200
    assert response["Refresh"].startswith("0;url=https://acme.example/oauth/authorize?")
    assert COOKIE in response.cookies
    assert "acme.example" in BeautifulSoup(response.content, "html.parser").h1.text


SAFE = {
    "/albums": "/albums",
    "/albums?page=2#top": "/albums?page=2#top",
    "albums": "albums",
    "http://testserver/albums": "http://testserver/albums",
    "/ünï": "/%C3%BCn%C3%AF",
}
UNSAFE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "http:evil.example",
    "http:///evil.example",
    "http://testserver@evil.example/",
    "http://testserver.evil.example/",
    "http://testserver:8000/",
    "javascript:alert(1)",
    "data:text/html,x",
    "ftp://testserver/",
    " https://evil.example",
    "\x08//evil.example",
    "/a\r\nSet-Cookie: a=b",
    "/a\0b",
    "http://[evil",
    "/" + "a" * 2001,
    "/" + "\N{PILE OF POO}" * 300,
]


@pytest.mark.parametrize(("asked", "reached"), [*SAFE.items(), *((url, "/connect/") for url in UNSAFE)])
def test_next_never_leads_to_another_site_rfc9700_4_11(asked: str, reached: str, signed_in: Browser) -> None:
    state = begin(signed_in, next=asked)["state"]
    response = come_back(signed_in, code=CODE, state=state)
    assert (response.status_code, response["Location"]) == (302, reached)


@pytest.mark.parametrize("url", UNSAFE)
def test_next_of_the_log_in_page_never_leads_to_another_site_for_who_is_signed_in(url: str, signed_in: Browser) -> None:
    for response in (
        signed_in.get("/connect/acme/login", {"next": url}),
        signed_in.post("/connect/acme/login", {"next": url}),
    ):
        assert (response.status_code, response["Location"]) == (302, "/connect/")


@pytest.mark.django_db(transaction=True)
def test_attempts_that_ran_out_long_ago_are_removed_and_others_kept(signed_in: Browser) -> None:
    begin(signed_in)
    ConnectAttempt.objects.update(expires_at=ConnectAttempt.objects.get().expires_at - timedelta(hours=1))
    begin(signed_in)
    begin(signed_in)
    assert ConnectAttempt.objects.count() == 2


def test_extra_parameters_of_the_settings_are_sent_and_replace_none_of_ours(signed_in: Browser, pkce_auth: Any) -> None:
    pkce_auth.provider(
        extra_authorize_parameters={"access_type": "offline", "state": "fixed", "code_challenge": "weak"}
    )
    request = begin(signed_in)
    assert request["access_type"] == "offline"
    assert request["state"] != "fixed"
    assert request["code_challenge"] != "weak"


def test_provider_that_rejects_pkce_gets_none(signed_in: Browser, pkce_auth: Any, acme: Acme) -> None:
    pkce_auth.provider(rejects_pkce=True)
    request = begin(signed_in)
    assert "code_challenge" not in request
    assert "code_challenge_method" not in request
    come_back(signed_in, code=CODE, state=request["state"])
    assert "code_verifier" not in acme.asked()[0].form
