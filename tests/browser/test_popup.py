"""Connecting in a small window that closes itself, under ``default-src 'self'`` and Django's own opener policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
IN_A_WINDOW = "Connect in a small window"


def open_window(visitor: Visitor) -> Page:
    visitor.log_in_at_app()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("button", name=IN_A_WINDOW).click()
    return opened.value


def test_window_closes_itself_and_the_page_shows_the_connection(visitor: Visitor) -> None:
    window = open_window(visitor)
    visitor.log_in_at_server(window)
    assert window.evaluate("window.opener") is None
    assert visitor.page.url == f"{visitor.demo.app_url}/"
    with window.expect_event("close"):
        visitor.decide("Allow", window)
    expect(visitor.page.locator("#connected")).to_contain_text(visitor.demo.server_user.name)
    assert visitor.page.url == f"{visitor.demo.app_url}/"
    assert f"{visitor.demo.app_url}/connect/finished" in visitor.pages_seen


def test_denied_in_the_window_one_can_start_again_there(visitor: Visitor) -> None:
    window = open_window(visitor)
    visitor.log_in_at_server(window)
    visitor.decide("Deny", window)
    expect(window.get_by_text("You did not allow access")).to_be_visible()
    visitor.look_at(window)
    expect(visitor.page.get_by_role("button", name=IN_A_WINDOW)).to_be_visible()
    window.get_by_role("link", name="Start again").click()
    window.get_by_role("button", name="Connect your Photo Box account").click()
    with window.expect_event("close"):
        visitor.decide("Allow", window)
    expect(visitor.page.locator("#connected")).to_be_visible()


def test_window_that_was_closed_can_be_opened_again(visitor: Visitor) -> None:
    window = open_window(visitor)
    window.close()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("button", name=IN_A_WINDOW).focus()
        visitor.page.keyboard.press("Enter")
    visitor.log_in_at_server(opened.value)
    with opened.value.expect_event("close"):
        visitor.decide("Allow", opened.value)
    expect(visitor.page.locator("#connected")).to_be_visible()


def test_second_click_uses_the_open_window(visitor: Visitor) -> None:
    window = open_window(visitor)
    expect(window.get_by_role("heading", name="Log in to Photo Box")).to_be_visible()
    window.evaluate("document.title = 'of the first click'")
    before = len(visitor.context.pages)
    with visitor.context.expect_event("response", lambda response: "/log-in/" in response.url) as answered:
        visitor.page.get_by_role("button", name=IN_A_WINDOW).click()
    last = answered.value.frame.page
    last.wait_for_function("document.title !== 'of the first click'")
    assert len(visitor.context.pages) - before in (0, 1)
    visitor.log_in_at_server(last)
    with last.expect_event("close"):
        visitor.decide("Allow", last)
    expect(visitor.page.locator("#connected")).to_be_visible()


def test_page_that_went_elsewhere_leaves_the_window_with_a_way_on(visitor: Visitor) -> None:
    window = open_window(visitor)
    visitor.log_in_at_server(window)
    visitor.page.goto("about:blank")
    visitor.decide("Allow", window)
    expect(window.get_by_role("heading", name="Done")).to_be_visible()
    visitor.look_at(window)
    window.get_by_role("link", name="Continue here").click()
    expect(window.get_by_role("heading", name="Accounts you connected")).to_be_visible()


def test_page_may_do_better_than_load_again(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    visitor.page.evaluate(
        "document.addEventListener('pkce-auth:finished', e => { e.preventDefault(); window.heard = 1 })"
    )
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("button", name=IN_A_WINDOW).click()
    visitor.log_in_at_server(opened.value)
    with opened.value.expect_event("close"):
        visitor.decide("Allow", opened.value)
    visitor.page.wait_for_function("window.heard === 1")
    expect(visitor.page.get_by_role("button", name=IN_A_WINDOW)).to_be_visible()


@pytest.mark.parametrize("how", ["no JavaScript", "blocked"])
def test_without_a_window_the_page_itself_goes(new_visitor: Callable[..., Visitor], how: str) -> None:
    visitor = new_visitor(java_script_enabled=how == "blocked")
    if how == "blocked":
        visitor.context.add_init_script("window.open = () => null")
    visitor.log_in_at_app()
    visitor.page.get_by_role("button", name=IN_A_WINDOW).click()
    visitor.log_in_at_server()
    visitor.decide("Allow")
    expect(visitor.page.get_by_role("heading", name="Accounts you connected")).to_be_visible()
