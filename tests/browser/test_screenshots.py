"""Pictures of every page, for people to look at: ``screenshots/<page>-<width>-<light|dark>.png``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from example_project.middleware import POLICY
from example_project.sites import SERVER, Running
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser
SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"
CONNECT = "Connect your Photo Box account"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_the_screen(new_visitor: Callable[..., Visitor], sites: Running, width: int, scheme: str) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page, demo = visitor.page, visitor.demo

    def shoot(name: str, of: Page = page) -> None:
        visitor.look_at(of)
        SCREENSHOTS.mkdir(exist_ok=True)
        of.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        assert of.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"

    page.goto(demo.app_url)
    shoot("app-home-anonymous")
    page.goto(f"{demo.app_url}/connect/photo-box/login")
    shoot("log-in-through-account")
    page.goto(f"{demo.app_url}/log-in/")
    shoot("app-log-in")
    visitor.log_in_at_app()
    shoot("app-home")
    page.goto(f"{demo.app_url}/connect/")
    shoot("connections-none")
    page.goto(f"{demo.app_url}/connect/photo-box/callback?code=x&state=y&iss={demo.server_url}")
    shoot("connect-problem")
    page.goto(f"{demo.app_url}/connect/nowhere/")
    shoot("connect-unknown")
    page.goto(f"{demo.app_url}/connect/photo-box/")
    shoot("connect")
    page.get_by_role("button", name=CONNECT).click()
    visitor.log_in_at_server()
    expect(page.get_by_role("button", name="Deny", exact=True)).to_be_visible()
    shoot("consent")
    consent = page.url
    # The page that sends the browser on, held where it can be seen.
    page.route("**/callback?*", lambda route: route.fulfill(status=204, headers={"Content-Security-Policy": POLICY}))
    page.get_by_role("button", name="Deny", exact=True).click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible()
    shoot("leave")
    page.unroute("**/callback?*")
    page.goto(consent)
    visitor.decide("Deny")
    expect(page.get_by_text("You did not allow access")).to_be_visible()
    shoot("connect-denied")
    page.goto(f"{consent}&prompt=login")
    expect(page.get_by_role("button", name="Sign in again")).to_be_visible()
    shoot("sign-in-again")
    page.goto(f"{demo.server_url}/oauth/authorize?client_id={demo.client_id}&redirect_uri=https://elsewhere.example/")
    shoot("error")
    page.goto(f"{demo.server_url}/")
    shoot("server-home")
    page.goto(f"{demo.app_url}/connect/photo-box/")
    page.get_by_role("button", name=CONNECT).click()
    page.get_by_label("See your photos").uncheck()
    visitor.decide("Allow")
    expect(page).to_have_url(f"{demo.app_url}/connect/")
    shoot("connections")
    page.goto(f"{demo.app_url}/photos/")
    shoot("app-scope-missing")
    page.get_by_role("button", name="Ask for it").click()
    visitor.decide("Allow")
    visitor.sees_photos()
    shoot("app-photos")
    page.goto(f"{demo.app_url}/apis/")
    expect(page.locator(".answer")).to_have_count(5)
    shoot("app-apis")
    page.goto(f"{demo.server_url}/oauth/apps")
    shoot("apps")
    page.get_by_role("link", name="Remove access").click()
    shoot("app-revoke")
    page.goto(f"{demo.server_url}/oauth/device")
    page.get_by_label("The code on the device's screen").fill("WRNG-CODE")
    page.get_by_role("button", name="Continue").click()
    shoot("device")
    page.goto(f"{demo.app_url}/connect/finished?next=/photos/")
    shoot("connect-finished")
    page.goto(f"{demo.app_url}/connect/")
    page.get_by_role("link", name="Disconnect").click()
    shoot("disconnect")
    sites.stop_one(SERVER)
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", name="Disconnected here")).to_be_visible()
    shoot("disconnected")
