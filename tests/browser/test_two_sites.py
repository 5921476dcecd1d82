"""The app and the authorization server in a real browser, under ``default-src 'self'; form-action 'self'``."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
CONNECT = "Connect your Photo Box account"


def test_connect_by_the_button_brings_the_photos(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    visitor.page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    for words in ("Postcards", visitor.demo.server_user.name, "See your name", "See your photos", "127.0.0.1"):
        expect(visitor.page.locator("main")).to_contain_text(words)
    visitor.decide("Allow")
    visitor.sees_photos()
    assert f"{visitor.demo.app_url}/connect/photo-box/callback" in visitor.pages_seen
    visitor.page.goto(f"{visitor.demo.app_url}/connect/")
    expect(visitor.page.locator("main")).to_contain_text("Photo Box")
    expect(visitor.page.locator("main")).to_contain_text("Connected")
    visitor.look_at(visitor.page)


def test_connect_by_the_finished_link_brings_the_photos(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    visitor.page.get_by_role("link", name="connect your account").click()
    visitor.log_in_at_server()
    visitor.decide("Allow")
    visitor.sees_photos()


def test_forced_refresh_brings_another_token_and_the_photos_again(visitor: Visitor) -> None:
    visitor.connect()
    before = visitor.page.locator("#fingerprint").inner_text()
    visitor.page.get_by_role("button", name="Refresh it now").click()
    expect(visitor.page.get_by_role("status")).to_contain_text("new access token")
    visitor.sees_photos()
    assert visitor.page.locator("#fingerprint").inner_text() != before


def test_deny_connects_nothing_and_one_can_start_again(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    visitor.page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    visitor.decide("Deny")
    expect(visitor.page.get_by_text("You did not allow access")).to_be_visible()
    assert visitor.page.url.startswith(f"{visitor.demo.app_url}/connect/photo-box/callback?")
    visitor.look_at(visitor.page)
    visitor.page.get_by_role("link", name="Start again").click()
    visitor.page.get_by_role("button", name=CONNECT).click()
    visitor.decide("Allow")
    expect(visitor.page).to_have_url(re.compile(f"^{visitor.demo.app_url}/(connect|photos)/$"))
    visitor.page.goto(f"{visitor.demo.app_url}/photos/")
    visitor.sees_photos()


def test_log_in_through_the_account_is_the_user_who_connected_it(new_visitor: Callable[..., Visitor]) -> None:
    first, second = new_visitor(), new_visitor()
    first.connect()
    second.page.goto(f"{second.demo.app_url}/log-in/")
    second.page.get_by_role("button", name="Log in with Photo Box").click()
    second.log_in_at_server()
    # The account has allowed this app before, so it may not be asked again.
    allow = second.page.get_by_role("button", name="Allow", exact=True)
    expect(second.page.locator("#owner").or_(allow)).to_be_visible()
    if allow.is_visible():
        second.decide("Allow")
    second.sees_photos()
    expect(second.page.locator("#who")).to_have_text(second.demo.app_user.name)


def test_first_log_in_through_the_account_by_the_link_makes_a_user(visitor: Visitor) -> None:
    visitor.page.goto(visitor.demo.app_url)
    visitor.look_at(visitor.page)
    visitor.page.get_by_role("link", name="log in with Photo Box").click()
    visitor.log_in_at_server()
    visitor.decide("Allow")
    visitor.sees_photos()
    expect(visitor.page.locator("#who")).not_to_have_text(visitor.demo.app_user.name)


def test_two_tabs_can_connect_at_the_same_time(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    tabs = [visitor.page, visitor.context.new_page()]
    tabs[1].goto(visitor.demo.app_url)
    tabs[0].get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server(tabs[0])
    expect(tabs[0].get_by_role("button", name="Allow", exact=True)).to_be_visible()
    tabs[1].get_by_role("link", name="connect your account").click()
    visitor.decide("Allow", tabs[1])
    visitor.sees_photos(tabs[1])
    visitor.decide("Allow", tabs[0])
    visitor.sees_photos(tabs[0])
    tabs[0].goto(f"{visitor.demo.app_url}/connect/")
    expect(tabs[0].get_by_text(visitor.demo.server_user.name, exact=False)).to_have_count(1)


def test_back_after_success_and_allow_again_ends_at_the_photos(visitor: Visitor) -> None:
    visitor.connect()
    visitor.page.go_back()
    # The page that only sends on is no stop on the way back.
    assert "/callback" not in visitor.page.url
    allow = visitor.page.get_by_role("button", name="Allow", exact=True)
    expect(visitor.page.locator("#owner").or_(allow)).to_be_visible()
    if allow.is_visible():
        visitor.decide("Allow")
    visitor.sees_photos()


def test_reload_of_the_callback_after_success_ends_at_the_photos(visitor: Visitor) -> None:
    answers: list[str] = []
    visitor.context.on("request", lambda request: answers.append(request.url) if "/callback?" in request.url else None)
    visitor.connect()
    assert len(answers) == 1
    visitor.page.goto(answers[0])
    visitor.sees_photos()


def test_finished_link_of_another_browser_connects_nothing(new_visitor: Callable[..., Visitor]) -> None:
    attacker, victim = new_visitor(), new_visitor()
    attacker.log_in_at_app()
    link = attacker.page.locator("#connect-link").get_attribute("href")
    assert link
    victim.page.goto(link)
    victim.log_in_at_server()
    victim.decide("Allow")
    expect(victim.page.locator("main")).to_contain_text("another browser")
    victim.look_at(victim.page)
    attacker.page.goto(f"{attacker.demo.app_url}/photos/")
    expect(attacker.page.get_by_role("button", name=CONNECT)).to_be_visible()
