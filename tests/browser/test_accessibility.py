"""The pages for everybody: by keyboard alone, from right to left, with large letters, and to axe's satisfaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from example_project.middleware import POLICY
from example_project.sites import SERVER, Running
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
CONNECT = "Connect your Photo Box account"


def violations(page: Page) -> list[str]:
    """What axe finds, by rule and element."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def to_consent(visitor: Visitor) -> Page:
    visitor.log_in_at_app()
    visitor.page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    expect(visitor.page.get_by_role("button", name="Deny", exact=True)).to_be_visible()
    visitor.look_at(visitor.page)
    return visitor.page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(new_visitor: Callable[..., Visitor], sites: Running, scheme: str) -> None:
    visitor = new_visitor(color_scheme=scheme)
    page, demo = visitor.page, visitor.demo
    page.goto(f"{demo.app_url}/connect/photo-box/login")
    found = {"log in through the account": violations(page)}
    visitor.log_in_at_app()
    page.goto(f"{demo.app_url}/connect/")
    found["no connections"] = violations(page)
    page.goto(demo.app_url)
    page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_visible()
    found["consent"] = violations(page)
    consent = page.url
    # The page that sends the browser on, held where it can be seen.
    page.route("**/callback?*", lambda route: route.fulfill(status=204, headers={"Content-Security-Policy": POLICY}))
    page.get_by_role("button", name="Deny", exact=True).click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible()
    found["leave"] = violations(page)
    page.unroute("**/callback?*")
    page.go_back()
    visitor.decide("Allow")
    visitor.sees_photos()
    for name, url in {
        "sign in again": f"{consent}&prompt=login",
        "error": f"{demo.server_url}/oauth/authorize?client_id={demo.client_id}&redirect_uri=https://other.example/",
        "apps": f"{demo.server_url}/oauth/apps",
        "revoke": f"{demo.server_url}/oauth/apps?revoke={demo.client_id}",
        "device": f"{demo.server_url}/oauth/device?user_code=WRNG-CODE",
        "connect": f"{demo.app_url}/connect/photo-box/",
        "connections": f"{demo.app_url}/connect/",
        "disconnect": f"{demo.app_url}/connect/?disconnect=1",
        "problem": f"{demo.app_url}/connect/photo-box/callback?code=x&state=y",
        "finished": f"{demo.app_url}/connect/finished?next=/photos/",
        "no such provider": f"{demo.app_url}/connect/nowhere/",
    }.items():
        page.goto(url)
        visitor.look_at(page)
        found[name] = violations(page)
    page.goto(f"{demo.app_url}/connect/?disconnect=1")
    sites.stop_one(SERVER)
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", name="Disconnected here")).to_be_visible()
    visitor.look_at(page)
    found["disconnected"] = violations(page)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_keyboard_alone_is_enough_to_untick_and_to_allow(visitor: Visitor) -> None:
    page = to_consent(visitor)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.value || document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nobody sees that {reached[-1]} has the focus"
        if reached[-1] == "photos":
            page.keyboard.press("Space")
        if reached[-1] == "approve":
            break
    assert reached.index("photos") < reached.index("deny") < reached.index("approve")
    page.keyboard.press("Enter")
    # Without photos the API refuses; the app says what is missing, and offers to ask for it.
    expect(page).to_have_url(f"{visitor.demo.app_url}/photos/")
    expect(page.locator("#missing")).to_contain_text("What is missing: photos.")
    expect(page.locator(".album img")).to_have_count(0)
    visitor.look_at(page)


def tab_to(page: Page, words: str) -> None:
    """Press Tab until the focus is on what begins with ``words``; it must be seen on the way wherever it is."""
    for _ in range(20):
        page.keyboard.press("Tab")
        reached = page.evaluate("document.activeElement.textContent.trim()")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"nobody sees that {reached} has the focus"
        if reached.startswith(words):
            return
    raise AssertionError(f"no Tab leads to {words}")


def test_keyboard_alone_is_enough_to_connect_and_to_disconnect(visitor: Visitor) -> None:
    visitor.log_in_at_app()
    page = visitor.page
    page.goto(f"{visitor.demo.app_url}/connect/")
    tab_to(page, CONNECT)
    page.keyboard.press("Enter")
    visitor.log_in_at_server()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_visible()
    visitor.look_at(page)
    tab_to(page, "Allow")
    page.keyboard.press("Enter")
    expect(page.locator(".pkce-list > li")).to_have_count(1)
    tab_to(page, "Disconnect")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Disconnect your Photo Box account?")).to_be_visible()
    tab_to(page, "Disconnect")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You have not connected an account yet.")).to_be_visible()


def test_scope_that_was_unticked_can_be_asked_for_later(visitor: Visitor) -> None:
    page = to_consent(visitor)
    page.get_by_label("See your photos").uncheck()
    visitor.decide("Allow")
    expect(page).to_have_url(f"{visitor.demo.app_url}/photos/")
    page.goto(f"{visitor.demo.app_url}/apis/")
    expect(page.locator("#missing")).to_contain_text("What is missing: photos.")
    page.goto(f"{visitor.demo.app_url}/photos/")
    page.get_by_role("button", name="Ask for it").click()
    visitor.decide("Allow")
    visitor.sees_photos()
    page.goto(f"{visitor.demo.app_url}/connect/")
    expect(page.locator(".pkce-list > li")).to_have_count(1)
    expect(page.locator(".pkce-list ul > li")).to_have_text(["See your photos there", "See your name there"])


def test_page_reads_from_right_to_left(visitor: Visitor) -> None:
    page = to_consent(visitor)
    before = page.get_by_role("button", name="Allow", exact=True).bounding_box()
    page.evaluate("document.documentElement.dir = 'rtl'")
    after = page.get_by_role("button", name="Allow", exact=True).bounding_box()
    deny = page.get_by_role("button", name="Deny", exact=True).bounding_box()
    assert before is not None
    assert after is not None
    assert deny is not None
    assert after["x"] < deny["x"] < before["x"] + before["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_letters_twice_as_large_still_fit(new_visitor: Callable[..., Visitor]) -> None:
    page = to_consent(new_visitor(viewport={"width": 360, "height": 740}))
    page.evaluate("document.body.style.setProperty('font-size', '2rem')")
    beyond = "e => e.getBoundingClientRect().right > 360"
    wide = f"[...document.querySelectorAll('main *')].filter({beyond}).map(e => e.outerHTML.slice(0, 80))"
    assert page.evaluate(wide) == []
