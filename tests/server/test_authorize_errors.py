"""Errors that go back to the client, at the redirect URI that was checked (RFC 6749 §4.1.2.1, RFC 7636 §4.4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.test import Client as Browser

from django_pkce_auth.server.models import AuthorizationCode
from django_pkce_auth.server.sign_in import MARK
from tests.four_steps import REDIRECT_URI, STATE, App, approve, returned
from tests.server.test_prompt import log_in_behind

CHANGES = {
    "no challenge": ({"code_challenge": None}, "invalid_request", "code_challenge is missing"),
    "empty challenge": ({"code_challenge": ""}, "invalid_request", "code_challenge is missing"),
    "neither challenge nor method": (
        {"code_challenge": None, "code_challenge_method": None},
        "invalid_request",
        "code_challenge is missing",
    ),
    "no method, which would mean plain": ({"code_challenge_method": None}, "invalid_request", "method is missing"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request", "plain is not accepted"),
    "lower-case method": ({"code_challenge_method": "s256"}, "invalid_request", "not one that this server knows"),
    "unknown method": ({"code_challenge_method": "S512"}, "invalid_request", "not one that this server knows"),
    "short challenge": ({"code_challenge": "x" * 42}, "invalid_request", "has 42 characters"),
    "padded challenge": ({"code_challenge": "x" * 43 + "="}, "invalid_request", "has 44 characters"),
    "challenge outside base64url": ({"code_challenge": "x" * 42 + "+"}, "invalid_request", "may hold only"),
    "challenge outside ASCII": ({"code_challenge": "x" * 42 + "ä"}, "invalid_request", "printable ASCII"),
    "no response_type": ({"response_type": None}, "invalid_request", "response_type is missing"),
    "implicit grant": ({"response_type": "token"}, "unsupported_response_type", "the implicit grant is gone"),
    "hybrid flow": ({"response_type": "code token"}, "unsupported_response_type", "send code"),
    "upper-case response_type": ({"response_type": "CODE"}, "unsupported_response_type", "send code"),
    "fragment as response_mode": ({"response_mode": "fragment"}, "invalid_request", "response_mode"),
    "form_post as response_mode": ({"response_mode": "form_post"}, "invalid_request", "response_mode"),
    "unknown scope": ({"scope": "read fly"}, "invalid_scope", "scope fly does not exist"),
    "upper-case scope": ({"scope": "READ"}, "invalid_scope", "scope READ does not exist"),
    "comma-separated scope": ({"scope": "read,write"}, "invalid_scope", "scope read,write does not exist"),
    "markup as scope": ({"scope": "<b>"}, "invalid_scope", "scope <b> does not exist"),
    "quoted scope": ({"scope": '"read"'}, "invalid_scope", "a character that no scope may have"),
    "scope with a line end": ({"scope": "read\r\nwrite"}, "invalid_scope", "a character that no scope may have"),
    "no scope and no default": ({"scope": None}, "invalid_scope", "no default scopes"),
    "blank scope and no default": ({"scope": " "}, "invalid_scope", "no default scopes"),
    "unknown prompt": ({"prompt": "shout"}, "invalid_request", "prompt"),
    "max_age that is no number": ({"max_age": "soon"}, "invalid_request", "max_age"),
}


@pytest.mark.parametrize(("changes", "error", "words"), CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_error_goes_back_with_description_state_and_issuer(
    app: App, signed_in: Browser, method: str, changes: dict[str, str | None], error: str, words: str
) -> None:
    link = app.link_with(**changes)
    answer = signed_in.get(link) if method == "GET" else signed_in.post(link, {"decision": "approve"})
    back = returned(answer)
    assert answer["Location"].startswith(REDIRECT_URI + "&error=")
    assert back["kept"] == "1"
    assert back["error"] == error
    assert words in back["error_description"]
    assert back["state"] == STATE
    assert back["iss"] == "https://testserver"
    assert "code" not in back
    assert not AuthorizationCode.objects.exists()


@pytest.mark.parametrize("state", ["x", "a b", "%00", "a&b=c#d", "+", "'\"<>\\", "~" * 4096])
def test_state_comes_back_unchanged(app: App, signed_in: Browser, state: str) -> None:
    assert approve(signed_in, app.link_with(state=state))["state"] == state
    assert returned(signed_in.get(app.link_with(state=state, response_type="token")))["state"] == state


def test_state_outside_ascii_is_refused_and_not_sent_back(app: App, signed_in: Browser) -> None:
    back = returned(signed_in.get(app.link_with(state="ärger")))
    assert back["error"] == "invalid_request"
    assert "state" not in back


def test_state_missing_is_not_invented(app: App, signed_in: Browser) -> None:
    assert approve(signed_in, app.link_with(state=None)).keys() == {"kept", "code", "iss"}


def test_scope_that_is_not_allowed_to_this_client_is_refused(register: Callable[..., App], signed_in: Browser) -> None:
    back = returned(signed_in.get(register(scope="read").link(scopes=("read", "write"))))
    assert (back["error"], "write" in back["error_description"]) == ("invalid_scope", True)


def test_scope_that_left_the_settings_is_refused(app: App, signed_in: Browser, settings: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "SCOPES": {"write": "Change your data"}}
    assert returned(signed_in.get(app.link(scopes=("read",))))["error"] == "invalid_scope"


def test_scope_missing_gets_the_clients_default_and_the_token_says_so(
    register: Callable[..., App], signed_in: Browser
) -> None:
    app = register(default_scope="read profile")
    tokens = app.redeem(approve(signed_in, app.link_with(scope=None))["code"]).json()
    assert tokens["scope"] == "read profile"


def test_scope_default_that_is_no_longer_allowed_is_left_out(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(scope="read", default_scope="read profile")
    tokens = app.redeem(approve(signed_in, app.link_with(scope=None))["code"]).json()
    assert tokens["scope"] == "read"


def test_scope_named_twice_is_asked_once(app: App, signed_in: Browser) -> None:
    page = signed_in.get(app.link_with(scope="read  read")).content.decode()
    assert page.count("Read your data") == 1


def test_client_without_the_grant_type_is_unauthorized(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(grant_types="client_credentials")
    assert returned(signed_in.get(app.link()))["error"] == "unauthorized_client"


@pytest.mark.parametrize("changes", [each[0] for each in CHANGES.values()], ids=CHANGES.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_error_sends_nobody_away_who_has_not_signed_in_rfc9700_4_11_2(
    app: App, alice: Any, method: str, changes: dict[str, str | None]
) -> None:
    """Whoever may register a client would have a link to this site that leads all who follow it to theirs."""
    browser, link = Browser(), app.link_with(**changes, utm_source="a+b c%2F&=", login_hint="alice&next=//evil.example")
    answer = browser.get(link) if method == "GET" else browser.post(link, {"decision": "approve"})
    assert answer.status_code == 302
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert asked["login_hint"] == ["alice&next=//evil.example"]
    assert len(asked["next"]) == 1
    assert parse_qsl(urlsplit(asked["next"][0]).query, keep_blank_values=True) == parse_qsl(
        urlsplit(link).query, keep_blank_values=True
    )
    back = returned(browser.get(log_in_behind(browser, answer)))
    assert back["error"] in ("invalid_request", "invalid_scope", "unsupported_response_type")
    assert back["state"] == STATE


@pytest.mark.parametrize("state", ["a b", "%00", "a&b=c#d", "+", "'\"<>\\", "~" * 1000])
def test_state_of_an_error_comes_back_unchanged_after_the_log_in(app: App, alice: Any, state: str) -> None:
    browser = Browser()
    answer = browser.get(app.link_with(state=state, response_type="token"))
    assert returned(browser.get(log_in_behind(browser, answer)))["state"] == state


def test_error_of_a_client_without_the_grant_type_waits_for_the_log_in_as_well(
    register: Callable[..., App], alice: Any
) -> None:
    browser = Browser()
    answer = browser.get(register(grant_types="client_credentials").link())
    assert returned(browser.get(log_in_behind(browser, answer)))["error"] == "unauthorized_client"


@pytest.mark.parametrize("prompt", ["none", "none none", " none "])
def test_error_of_a_silent_request_goes_back_without_a_page(app: App, prompt: str) -> None:
    back = returned(Browser().get(app.link_with(scope="fly", prompt=prompt)))
    assert (back["error"], back["state"]) == ("invalid_scope", STATE)


@pytest.mark.parametrize("prompt", ["none login", "login none", "NONE", "nonesuch", "none,none", "\u00a0"])
def test_request_is_silent_only_where_it_says_none_and_nothing_else(app: App, db: None, prompt: str) -> None:
    answer = Browser().get(app.link_with(prompt=prompt))
    assert (answer.status_code, answer["Location"][:7]) == (302, "/login/")


def test_error_before_the_log_in_leaves_an_old_mark_behind(app: App, db: None) -> None:
    assert MARK not in Browser().get(app.link_with(scope="fly", **{MARK: "anything"}))["Location"]


def test_unknown_parameters_are_ignored_rfc6749_3_1(app: App, signed_in: Browser) -> None:
    assert "code" in approve(signed_in, app.link_with(utm_source="mail", nonce="abc", audience="x"))


@pytest.mark.parametrize("error", ["access_denied", "invalid_scope"])
def test_error_to_a_redirect_uri_without_query_begins_one(
    register: Callable[..., App], signed_in: Browser, error: str
) -> None:
    uri = "https://app.example/plain"
    app = register(uris=(uri,))
    link = app.link(redirect_uri=uri, scopes=("read",) if error == "access_denied" else ("fly",))
    answer = signed_in.post(link, {"decision": "deny"})
    assert answer["Location"].startswith(f"{uri}?error={error}&")


def test_private_use_scheme_is_redirected_to_rfc8252_7_1(register: Callable[..., App], signed_in: Browser) -> None:
    uri = "com.example.app:/callback"
    app = register(client_id="phone", public=True, uris=(uri,))
    answer = signed_in.post(app.link(redirect_uri=uri), {"decision": "approve"})
    assert answer["Location"].startswith(f"{uri}?code=pkce_ac_")
