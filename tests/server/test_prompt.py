"""prompt, max_age and login_hint (OpenID Connect Core §3.1.2.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from django_pkce_auth.server.sign_in import SESSION_KEY
from tests.four_steps import App, approve, returned


def log_in_behind(browser: Browser, response: Any) -> str:
    """Log in at the page that ``response`` leads to; return the address behind it."""
    assert response.status_code == 302, response.content
    assert response["Location"].startswith("/login/")
    return str(browser.post(response["Location"], {"username": "alice", "password": "wonderland"})["Location"])


def sign_in_again(browser: Browser, link: str) -> Any:
    """Open the link, and press the button of the page that asks for a new sign-in."""
    page = browser.get(link)
    assert "Sign in again to continue to <b>Photo App</b>" in page.content.decode()
    return browser.post(link, {"decision": "switch"})


def test_none_never_shows_a_page(app: App, signed_in: Browser, alice: Any) -> None:
    link = app.link_with(prompt="none")
    assert returned(Browser().get(link))["error"] == "login_required"
    assert returned(signed_in.get(link))["error"] == "consent_required"
    approve(signed_in, app.link())
    assert "code" in returned(signed_in.get(link))


def test_consent_asks_although_it_was_allowed(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link())
    assert signed_in.get(app.link()).status_code == 303
    assert signed_in.get(app.link_with(prompt="consent")).status_code == 200


def test_login_needs_a_sign_in_after_the_request(app: App, signed_in: Browser) -> None:
    first = sign_in_again(signed_in, app.link_with(prompt="login"))
    assert first.status_code == 302
    # A log-in page that passes signed-in visitors on would not see one: they were signed out.
    assert "_auth_user_id" not in signed_in.session
    behind = log_in_behind(signed_in, first)
    assert signed_in.get(behind).status_code == 200
    assert approve(signed_in, behind)["code"]


@pytest.mark.parametrize("mark", ["", "nonsense", "MTc5NTM5:1vN:abc"])
def test_forged_mark_satisfies_nothing(mark: str, app: App, signed_in: Browser) -> None:
    assert sign_in_again(signed_in, app.link_with(prompt="login", signed_in_after=mark)).status_code == 302


def test_max_age_needs_a_sign_in_that_is_young_enough(app: App, signed_in: Browser) -> None:
    assert signed_in.get(app.link_with(max_age="600")).status_code == 200
    session = signed_in.session
    session[SESSION_KEY] -= 601
    session.save()
    old = sign_in_again(signed_in, app.link_with(max_age="600"))
    assert signed_in.get(log_in_behind(signed_in, old)).status_code == 200


def test_max_age_zero_does_not_go_round_in_circles(app: App, signed_in: Browser) -> None:
    behind = log_in_behind(signed_in, sign_in_again(signed_in, app.link_with(max_age="0")))
    assert signed_in.get(behind).status_code == 200


def test_login_hint_reaches_the_log_in_page(app: App, alice: Any) -> None:
    response = Browser().get(app.link_with(login_hint="alice@example.com"))
    assert parse_qs(urlsplit(response["Location"]).query)["login_hint"] == ["alice@example.com"]


@pytest.mark.parametrize(
    "change", [{"prompt": "none login"}, {"prompt": "create"}, {"max_age": "-1"}, {"max_age": "soon"}]
)
def test_nonsense_goes_back_as_an_error(change: dict[str, str], app: App, signed_in: Browser) -> None:
    assert returned(signed_in.get(app.link_with(**change)))["error"] == "invalid_request"
