"""Somebody in front of a real browser that must have nothing to complain about."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, expect

from example_project.middleware import DOCS_POLICY, POLICY
from example_project.sites import Demo, Person

INLINE = "script:not([src]), style, [style], [onclick], [onload], [onsubmit], [onerror], a[href^='javascript:']"
# A page of this status is one that a test may ask for; Chromium reports it as an error of its own.
STATUS_ERROR = "Failed to load resource: the server responded with a status of 4"
WAIT_MILLISECONDS = 60_000
expect.set_options(timeout=WAIT_MILLISECONDS)


class Visitor:
    """One browser with its own cookies, watched: its console, and the header and markup of each page it sees."""

    def __init__(self, context: BrowserContext, demo: Demo) -> None:
        self.context = context
        self.demo = demo
        self.complaints: list[str] = []
        self.pages_seen: set[str] = set()
        context.set_default_timeout(WAIT_MILLISECONDS)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(f"script error: {error.error}"))
        context.on("response", self._on_response)
        self.page = context.new_page()

    def log_in_at_app(self, page: Page | None = None) -> None:
        page = page or self.page
        page.goto(f"{self.demo.app_url}/log-in/")
        self.fill_in(self.demo.app_user, page)
        # Until it is loaded, scripts and all: a button's small window needs one.
        page.wait_for_url(lambda url: "/log-in/" not in url)

    def log_in_at_server(self, page: Page | None = None) -> None:
        page = page or self.page
        expect(page.get_by_role("heading", name="Log in to Photo Box")).to_be_visible()
        self.fill_in(self.demo.server_user, page)

    def fill_in(self, person: Person, page: Page) -> None:
        self.look_at(page)
        page.get_by_label("Username").fill(person.name)
        page.get_by_label("Password").fill(person.password)
        page.get_by_role("button", name="Log in", exact=True).click()

    def decide(self, button: str, page: Page | None = None) -> None:
        page = page or self.page
        expect(page.get_by_role("button", name="Deny", exact=True)).to_be_visible()
        self.look_at(page)
        page.get_by_role("button", name=button, exact=True).click()

    def connect(self) -> None:
        """Log in at the app, and connect the account by the button."""
        self.log_in_at_app()
        self.page.get_by_role("button", name="Connect your Photo Box account").click()
        self.log_in_at_server()
        self.decide("Allow")
        self.sees_photos()

    def sees_photos(self, page: Page | None = None) -> None:
        """The API answered for the account's owner, pictures and all."""
        page = page or self.page
        expect(page).to_have_url(f"{self.demo.app_url}/photos/")
        expect(page.locator("#owner")).to_have_text(self.demo.server_user.name)
        expect(page.locator(".album img")).to_have_count(4)
        for picture in page.locator(".album img").all():
            expect(picture).to_have_js_property("complete", True)
            expect(picture).not_to_have_js_property("naturalWidth", 0)
        self.look_at(page)

    def look_at(self, page: Page) -> None:
        """Nothing on the page is inline, and its stylesheet was applied."""
        page.wait_for_load_state()
        inline = page.locator(INLINE).evaluate_all("found => found.map(each => each.outerHTML.slice(0, 200))")
        assert inline == [], f"{page.url} has {inline}"
        assert page.evaluate("document.styleSheets.length") > 0, f"{page.url} has no stylesheet"

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(STATUS_ERROR):
            self.complaints.append(f"{message.type} on {message.location.get('url')}: {message.text}")

    def _on_response(self, response: Response) -> None:
        if response.request.resource_type != "document":
            return
        self.pages_seen.add(response.url.partition("?")[0])
        expected = DOCS_POLICY if response.url == f"{self.demo.server_url}/api/docs/" else POLICY
        if response.headers.get("content-security-policy") != expected:
            self.complaints.append(f"{response.url} came without the policy")
