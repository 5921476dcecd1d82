"""prompt and max_age against somebody who tampers with the link (OpenID Connect Core §3.1.2.1, §3.1.2.6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.views import LoginView
from django.core import signing
from django.test import Client as Browser
from django.urls import include, path

from django_pkce_auth.protocol.authorization import AuthorizationRequest
from django_pkce_auth.protocol.pkce import code_challenge
from django_pkce_auth.server import sign_in
from django_pkce_auth.server.models import AuthorizationCode
from django_pkce_auth.server.sign_in import MARK, MARK_LIFETIME, SESSION_KEY, SIGN_IN_COUNTS_FOR
from tests.four_steps import STATE, App, approve, returned
from tests.server.test_prompt import log_in_behind, sign_in_again

OTHER_CHALLENGE = code_challenge("x" * 43)

# A log-in page that passes visitors on who are signed in already.
urlpatterns = [
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True)),
    path("", include("django_pkce_auth.urls")),
]


def behind(response: Any) -> str:
    """Return the address that the log-in page will lead back to."""
    assert response.status_code == 302, response.content
    return parse_qs(urlsplit(response["Location"]).query)["next"][0]


def asks_to_sign_in(response: Any) -> bool:
    return bool(response.status_code == 302 and response["Location"].startswith("/login/"))


def asks_to_sign_in_again(response: Any) -> bool:
    return response.status_code == 200 and "Sign in again to continue to" in response.content.decode()


def mark_of(response: Any) -> str:
    return parse_qs(urlsplit(behind(response)).query)[MARK][0]


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "1", "prompt": "login consent"}])
def test_log_in_page_that_passes_visitors_on_is_no_loop(
    app: App, signed_in: Browser, settings: Any, change: dict[str, str]
) -> None:
    settings.ROOT_URLCONF = __name__
    first = sign_in_again(signed_in, app.link_with(**change))
    assert signed_in.get(first["Location"]).status_code == 200
    where = log_in_behind(signed_in, first)
    assert signed_in.get(where).status_code == 200
    assert "code" in approve(signed_in, where)


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": "0"}])
def test_sign_in_of_before_does_not_count_however_often_it_is_tried(
    app: App, signed_in: Browser, alice: Any, change: dict[str, str]
) -> None:
    """Whoever sits down at an open session can't sign in as its owner, and loses the session by trying."""
    link = app.link_with(**change)
    for _ in range(3):
        assert asks_to_sign_in_again(signed_in.get(link))
        assert asks_to_sign_in_again(signed_in.post(link, {"decision": "approve"}))
    for _ in range(3):
        first = signed_in.post(link, {"decision": "switch"})
        assert asks_to_sign_in(first)
        assert asks_to_sign_in(signed_in.get(behind(first)))
        assert asks_to_sign_in(signed_in.post(behind(first), {"decision": "approve"}))
    assert not AuthorizationCode.objects.exists()


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "login consent", "max_age": "9"}])
@pytest.mark.parametrize("method", ["get", "head"])
def test_link_signs_nobody_out(app: App, signed_in: Browser, method: str, change: dict[str, str]) -> None:
    """Anybody knows the client_id of a public client, and can have a page load this."""
    response = getattr(signed_in, method)(app.link_with(**change))
    assert response.status_code == 200
    assert "_auth_user_id" in signed_in.session
    assert response["X-Frame-Options"] == "DENY"
    assert response["Cache-Control"] == "private, no-store"


def test_page_of_a_new_sign_in_says_for_whom_and_who_is_signed_in(
    register: Callable[..., App], signed_in: Browser
) -> None:
    page = signed_in.get(register(name="<i>Bank</i>").link_with(prompt="login")).content.decode()
    assert "continue to <b>&lt;i&gt;Bank&lt;/i&gt;</b>" in page
    assert "signed in as <b>alice</b>" in page
    assert "<script" not in page


def test_signing_out_for_a_new_sign_in_needs_the_pages_own_form(app: App, alice: Any) -> None:
    browser, link = Browser(enforce_csrf_checks=True), app.link_with(prompt="login")
    browser.force_login(alice)
    assert browser.post(link, {"decision": "switch"}).status_code == 403
    assert "_auth_user_id" in browser.session
    page = BeautifulSoup(browser.get(link).content, "html.parser")
    form: Any = page.find("form")
    token = form.find("input", attrs={"name": "csrfmiddlewaretoken"})["value"]
    assert asks_to_sign_in(browser.post(form["action"], {"decision": "switch", "csrfmiddlewaretoken": token}))
    assert "_auth_user_id" not in browser.session


def test_new_sign_in_that_is_not_wanted_goes_back_as_a_denial(app: App, signed_in: Browser) -> None:
    back = returned(signed_in.post(app.link_with(prompt="login"), {"decision": "deny"}))
    assert (back["error"], back["state"]) == ("access_denied", STATE)
    assert "_auth_user_id" in signed_in.session


@pytest.mark.parametrize("decision", ["deny", "approve", "switch"])
def test_answer_of_a_stranger_leads_to_the_log_in_page_and_nowhere_else(app: App, db: None, decision: str) -> None:
    assert asks_to_sign_in(Browser().post(app.link_with(prompt="login"), {"decision": decision}))


@pytest.mark.parametrize("decision", ["approve", "deny", "switch"])
def test_consent_page_that_was_left_open_for_too_long_gives_nothing(
    app: App, signed_in: Browser, later: Callable[..., None], decision: str
) -> None:
    link = app.link_with(max_age="600")
    assert "asks for access to your account" in signed_in.get(link).content.decode()
    later(seconds=601)
    response = signed_in.post(link, {"decision": decision})
    assert asks_to_sign_in_again(response) == (decision == "approve")
    assert asks_to_sign_in(response) == (decision == "switch")
    assert not AuthorizationCode.objects.exists()


@pytest.mark.parametrize(
    ("signed_in_at", "mark", "asked", "fresh"),
    [
        (1_000, None, {}, True),
        (None, None, {}, True),
        (1_000, None, {"max_age": 60}, True),
        (999, None, {"max_age": 60}, False),
        (None, None, {"max_age": 1_060}, True),
        (None, None, {"max_age": 1_059}, False),
        (1_060, None, {"max_age": 0}, True),
        (1_060, None, {"prompts": ("login",)}, False),
        (1_060, None, {"prompts": ("login",), "max_age": 60}, False),
        (1_050, 1_060, {"prompts": ("login",)}, True),
        (1_049, 1_060, {"prompts": ("login",)}, False),
        (460, 460, {"prompts": ("login",)}, True),
        (459, 459, {"prompts": ("login",)}, False),
        (459, 459, {"max_age": 601}, True),
    ],
)
def test_sign_in_is_fresh_to_the_second(
    rf: Any, signed_in_at: int | None, mark: int | None, asked: dict[str, Any], fresh: bool
) -> None:
    request = AuthorizationRequest(client_id="photo-app", code_challenge="x" * 43, **asked)
    http = rf.get("/", {MARK: signing.dumps(mark, salt=sign_in._salt(request))} if mark else {})
    http.session = {} if signed_in_at is None else {SESSION_KEY: signed_in_at}
    assert sign_in.is_fresh(http, request, now=datetime.fromtimestamp(1_060, UTC)) is fresh


def test_post_is_held_to_it_as_the_page_is(app: App, signed_in: Browser) -> None:
    assert asks_to_sign_in_again(signed_in.post(app.link_with(prompt="login"), {"decision": "approve"}))
    assert not AuthorizationCode.objects.exists()


def test_mark_that_was_made_elsewhere_opens_no_session_that_has_been_open_for_a_while(
    app: App, alice: Any, later: Callable[..., None]
) -> None:
    """Whoever has one made before alice signs in, and sits down at her session later, can't sign in as her."""
    link = app.link_with(prompt="login")
    marked = behind(Browser().get(link))
    browser = Browser()
    browser.force_login(alice)
    later(seconds=SIGN_IN_COUNTS_FOR.total_seconds() + 1)
    assert asks_to_sign_in_again(browser.get(marked))
    assert asks_to_sign_in_again(browser.post(marked, {"decision": "approve"}))
    assert not AuthorizationCode.objects.exists()


def test_mark_of_another_request_is_worth_nothing(app: App, alice: Any) -> None:
    """Anybody can have a mark made; alice signed in after it, and must be asked again all the same."""
    mark = mark_of(Browser().get(app.link_with(prompt="login", code_challenge=OTHER_CHALLENGE)))
    browser = Browser()
    browser.force_login(alice)
    assert asks_to_sign_in_again(browser.get(app.link_with(prompt="login", **{MARK: mark})))


def test_mark_of_another_client_is_worth_nothing(app: App, public_app: App, alice: Any) -> None:
    mark = mark_of(Browser().get(public_app.link_with(prompt="login")))
    browser = Browser()
    browser.force_login(alice)
    assert asks_to_sign_in_again(browser.get(app.link_with(prompt="login", **{MARK: mark})))


@pytest.mark.parametrize("value", [0, -1, "0", None, [], {"a": 1}, 1e9])
@pytest.mark.parametrize("salt", ["django_pkce_auth.sign_in", "django.core.signing"])
def test_mark_signed_for_something_else_is_worth_nothing(app: App, signed_in: Browser, value: Any, salt: str) -> None:
    mark = signing.dumps(value, salt=salt)
    assert asks_to_sign_in_again(signed_in.get(app.link_with(prompt="login", **{MARK: mark})))


def test_mark_that_came_with_the_link_is_not_kept(app: App, db: None) -> None:
    assert MARK not in Browser().get(app.link_with(**{MARK: "anything"}))["Location"]


def test_mark_grows_old(app: App, signed_in: Browser) -> None:
    where = log_in_behind(signed_in, sign_in_again(signed_in, app.link_with(prompt="login")))
    assert signed_in.get(where).status_code == 200
    old = time.time() + MARK_LIFETIME.total_seconds() + 1
    with patch("django.core.signing.time", SimpleNamespace(time=lambda: old)):
        assert asks_to_sign_in_again(signed_in.get(where))


def test_mark_without_the_session_that_it_led_to_is_worth_nothing(app: App, signed_in: Browser) -> None:
    where = log_in_behind(signed_in, sign_in_again(signed_in, app.link_with(prompt="login")))
    assert asks_to_sign_in(Browser().get(where))
    session = signed_in.session
    del session[SESSION_KEY]
    session.save()
    assert asks_to_sign_in_again(signed_in.get(where))


def test_mark_does_not_reach_the_client(app: App, signed_in: Browser) -> None:
    where = log_in_behind(signed_in, sign_in_again(signed_in, app.link_with(prompt="login")))
    response = signed_in.post(where, {"decision": "approve"})
    assert MARK not in response["Location"]


@pytest.mark.parametrize("change", [{}, {"max_age": "0"}, {"max_age": "600"}])
def test_none_never_shows_a_page_and_never_signs_out(app: App, signed_in: Browser, change: dict[str, str]) -> None:
    approve(signed_in, app.link())
    session = signed_in.session
    session[SESSION_KEY] -= 700
    session.save()
    answer = returned(signed_in.get(app.link_with(prompt="none", **change)))
    assert answer.get("error") == ("login_required" if change else None)
    assert answer["iss"] == "https://testserver"
    assert "_auth_user_id" in signed_in.session


@pytest.mark.parametrize("uri", ["http://127.0.0.1/callback", "com.example.app:/callback"])
@pytest.mark.parametrize("first_party", [False, True])
def test_none_gives_an_unproven_client_nothing(
    register: Callable[..., App], signed_in: Browser, uri: str, first_party: bool
) -> None:
    app = register(client_id="phone", public=True, uris=(uri,), first_party=first_party)
    approve(signed_in, app.link(redirect_uri=uri))
    assert returned(signed_in.get(app.link(redirect_uri=uri) + "&prompt=none"))["error"] == "consent_required"


@pytest.mark.parametrize("bad", [{"client_id": "nobody"}, {"redirect_uri": "https://evil.example/"}])
def test_none_with_an_unsafe_request_is_not_redirected(app: App, signed_in: Browser, bad: dict[str, str]) -> None:
    response = signed_in.get(app.link_with(prompt="none", **bad))
    assert response.status_code == 400
    assert "Location" not in response


@pytest.mark.parametrize("prompt", ["consent", "select_account", "consent select_account", "login consent"])
def test_page_is_shown_to_a_first_party_client_that_asks_for_it(
    register: Callable[..., App], signed_in: Browser, prompt: str
) -> None:
    own = register(first_party=True)
    link = own.link_with(prompt=prompt)
    if "login" in prompt:
        link = log_in_behind(signed_in, sign_in_again(signed_in, link))
    response = signed_in.get(link)
    assert response.status_code == 200
    assert "Switch account" in response.content.decode()


def test_switching_comes_back_to_the_same_request(app: App, signed_in: Browser, django_user_model: Any) -> None:
    django_user_model.objects.create_user(username="bob", password="builder")
    first = signed_in.post(app.link_with(prompt="select_account"), {"decision": "switch"})
    assert "_auth_user_id" not in signed_in.session
    back = signed_in.post(first["Location"], {"username": "bob", "password": "builder"})["Location"]
    assert parse_qsl(urlsplit(back).query) == parse_qsl(urlsplit(app.link_with(prompt="select_account")).query)
    assert "bob" in signed_in.get(back).content.decode()


def test_redirect_uri_with_parameters_of_ours_in_its_query_changes_nothing(
    register: Callable[..., App], signed_in: Browser
) -> None:
    uri = "https://app.example/cb?prompt=none&max_age=0&decision=approve&client_id=x&signed_in_after=1"
    app = register(client_id="odd", uris=(uri,))
    link = app.link(redirect_uri=uri)
    assert signed_in.get(link).status_code == 200
    response = signed_in.post(link, {"decision": "approve"})
    assert response["Location"].startswith(f"{uri}&code=pkce_ac_")


@pytest.mark.parametrize("hint", ["alice@example.com", "a&next=https://evil.example", "\r\nSet-Cookie: x=1", "ä b#?"])
def test_login_hint_is_one_parameter_of_the_log_in_page_whatever_it_holds(app: App, db: None, hint: str) -> None:
    response = Browser().get(app.link_with(login_hint=hint))
    query = parse_qs(urlsplit(response["Location"]).query)
    assert query["login_hint"] == [hint]
    assert len(query["next"]) == 1
    assert query["next"][0].startswith("/oauth/authorize?")
    assert "\r" not in response["Location"]
    assert "Set-Cookie" not in response.headers


def test_request_survives_the_log_in_page_to_the_character(app: App, alice: Any) -> None:
    link = app.link_with(state="a+b c%2F&=\"'<>~", login_hint="ä", unknown="")
    assert urlencode(parse_qsl(urlsplit(behind(Browser().get(link))).query)) == urlencode(
        parse_qsl(urlsplit(link).query)
    )
