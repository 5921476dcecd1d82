"""``SESSION_COOKIE_SAMESITE = "Strict"`` in a browser, for which localhost and 127.0.0.1 are two sites."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from example_project.sites import Demo, running
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
CONNECT = "Connect your Photo Box account"


@pytest.fixture
def demo(prepared: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    """Both sites with Strict cookies, the server under a name that makes it another site than the app.

    And with an opener policy that keeps nothing apart, as a project may have that opens other windows.
    """
    monkeypatch.setenv("EXAMPLE_SESSION_SAMESITE", "Strict")
    monkeypatch.setenv("EXAMPLE_OPENER_POLICY", "unsafe-none")
    for database in prepared.directory.glob("*.sqlite3"):
        shutil.copy(database, tmp_path)
    copy = dataclasses.replace(prepared, directory=tmp_path, server_host="localhost")
    with running(copy):
        yield copy


def sent_round(visitor: Visitor) -> list[str]:
    """Note each address that is loaded once more from its own site."""
    urls: list[str] = []

    def on_request(request: Request) -> None:
        if request.method == "GET" and "pkce_auth_arrived=1" in request.url:
            urls.append(request.url.partition("?")[0])

    visitor.context.on("request", on_request)
    return urls


def test_user_stays_signed_in_on_both_sites(visitor: Visitor) -> None:
    urls = sent_round(visitor)
    visitor.connect()
    assert urls.count(f"{visitor.demo.app_url}/connect/photo-box/callback") == 1
    cookies = {cookie["name"]: cookie["sameSite"] for cookie in visitor.context.cookies()}
    assert (cookies["app_session"], cookies["server_session"]) == ("Strict", "Strict")
    assert list(dict.fromkeys(urls)) == [
        f"{visitor.demo.server_url}/oauth/authorize",
        f"{visitor.demo.app_url}/connect/photo-box/callback",
    ]
    # Signed in at the server by now, so it does not ask who it is; with one consent more it asks for that alone.
    visitor.page.goto(f"{visitor.demo.app_url}/connect/")
    visitor.page.get_by_role("button", name="Connect another Photo Box account").click()
    allow = visitor.page.get_by_role("button", name="Allow", exact=True)
    listed = visitor.page.get_by_role("heading", name="Accounts you connected")
    expect(allow.or_(listed)).to_be_visible()
    if allow.is_visible():
        visitor.decide("Allow")
    expect(listed).to_be_visible()
    expect(visitor.page.locator(".pkce-list > li")).to_have_count(1)


def test_visitor_is_logged_in_through_the_account(new_visitor: Callable[..., Visitor]) -> None:
    visitor = new_visitor()
    visitor.page.goto(visitor.demo.app_url)
    visitor.page.get_by_role("button", name="Log in with Photo Box").click()
    visitor.log_in_at_server()
    visitor.decide("Allow")
    visitor.sees_photos()


def test_deny_is_told_to_the_user_who_began(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    visitor.page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    visitor.decide("Deny")
    expect(visitor.page.get_by_text("You did not allow access")).to_be_visible()
    visitor.look_at(visitor.page)
    expect(visitor.page.get_by_role("link", name="Start again")).to_be_visible()


def test_small_window_works_and_can_not_reach_back(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("button", name="Connect in a small window").click()
    window = opened.value
    visitor.log_in_at_server(window)
    assert window.evaluate("window.opener") is None
    with window.expect_event("close"):
        visitor.decide("Allow", window)
    expect(visitor.page.locator("#connected")).to_contain_text(visitor.demo.server_user.name)
