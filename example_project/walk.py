"""``--check``: the whole flow over HTTP, as a person with a browser walks it; raises StepFailed at the first fault."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
from rich.console import Console
from rich.text import Text

from .browser import TIMEOUT, Browser, StepFailed, expect
from .sites import JOB, SCOPES, Demo, Person

__all__ = ["StepFailed", "walk"]

CONNECT = "Connect your Photo Box account"
LOG_IN = "Log in with Photo Box"


def walk(demo: Demo, console: Console) -> None:
    journey = _Journey(demo, console)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("The app offers to log in and to connect", journey.links),
        ("The finished link leads to the prompt", journey.prompt),
        ("Deny: back at the app, nothing is connected", journey.deny),
        ("Allow: the callback exchanges the code, and the tokens are stored", journey.allow),
        ("The API answers for the person of the token, and for nobody without one", journey.api),
        ("One token opens every API of the server, whatever it is written with", journey.every_api),
        ("Another project opens for a signed token that is for it, and for no other", journey.print_shop),
        ("A forced refresh brings another token, and the API goes on", journey.refresh),
        ("In another browser: log in through the account", journey.log_in),
    ]
    try:
        for number, (title, step) in enumerate(steps, 1):
            console.print(Text(f"\n{number}. {title}", "bold"))
            try:
                step()
            except StepFailed as error:
                raise StepFailed(f"step {number}, “{title}”: {error}") from None
    finally:
        journey.close()
    console.print(Text(f"\nAll {len(steps)} steps passed.", "bold green"))


class _Journey:
    def __init__(self, demo: Demo, console: Console) -> None:
        self.demo = demo
        self.console = console
        self.browser = Browser(console)
        self.other_browser = Browser(console)

    def close(self) -> None:
        self.browser.close()
        self.other_browser.close()

    def links(self) -> None:
        self.browser.open(f"{self.demo.app_url}/")
        self._is_authorization_link(self.browser.address("#log-in-link"))
        self.browser.open(f"{self.demo.app_url}/log-in/")
        self._sign_in(self.browser, self.demo.app_user)
        expect(self.browser.read("#who") == self.demo.app_user.name, "the app did not log its user in")
        self._is_authorization_link(self.browser.address("#connect-link"))
        self._note("the link holds response_type, client_id, redirect_uri, scope, state and an S256 challenge")

    def prompt(self) -> None:
        self.browser.follow("#connect-link")
        expect(self.browser.url.startswith(f"{self.demo.server_url}/log-in/"), "the server asked for no log-in")
        self._sign_in(self.browser, self.demo.server_user)
        text = self.browser.text
        for part in ("Postcards", self.demo.server_user.name, "See your name", "See your photos"):
            expect(part in text, f"the prompt does not name {part!r}")
        self._note("the prompt names the app, the account, and each scope in words")

    def deny(self) -> None:
        self.browser.press("Deny")
        self._is_at("/connect/photo-box/callback")
        answer = parse_qs(urlsplit(self.browser.url).query)
        expect(answer.get("error") == ["access_denied"] and "code" not in answer, "the answer is not access_denied")
        expect(answer.get("iss") == [self.demo.server_url], "the answer does not name its issuer")
        expect("You did not allow access" in self.browser.text, "the app does not say that access was denied")
        self.browser.open(f"{self.demo.app_url}/")
        expect(not self.browser.has("#connected"), "the app shows a connection after Deny")
        self._note("the answer was error=access_denied with state and iss, and no code")

    def allow(self) -> None:
        self.browser.press(CONNECT)
        self.browser.press("Allow")
        self._is_at("/photos/")
        self.browser.open(f"{self.demo.app_url}/connect/")
        text = self.browser.text
        for part in (
            "Photo Box",
            self.demo.server_user.name,
            "Connected",
            "See your name there",
            "See your photos there",
        ):
            expect(part in text, f"the app's list of accounts lacks {part!r}")
        self._note("the app exchanged the code with its secret and the verifier, and stored the tokens encrypted")

    def api(self) -> None:
        self.browser.open(f"{self.demo.app_url}/photos/")
        expect(self.browser.read("#owner") == self.demo.server_user.name, "the API answered for someone else")
        expect(len(self.browser.page.select(".album li")) == 4, "the app does not show the four photos")
        url = f"{self.demo.server_url}/api/me"
        refused = self._get(url)
        challenge = refused.headers.get("WWW-Authenticate", "")
        self._note(f"GET {url} without a token: {refused.status_code}, WWW-Authenticate: {challenge}")
        expect(refused.status_code == 401 and challenge.startswith("Bearer"), "the API let in a request without token")

    def every_api(self) -> None:
        self.browser.open(f"{self.demo.app_url}/apis/")
        for how in ("a plain view", "an async view", "Django REST framework", "django-ninja", "django-ninja, async"):
            expect(how in self.browser.text, f"no answer of {how}: {self.browser.text[:300]}")
        expect(len(self.browser.page.select(".answer")) == 5, "not every API answered")
        schema = self._get(f"{self.demo.server_url}/api/schema?format=json").json()
        security = schema["paths"]["/api/albums/mine"]["get"]["security"]
        expect(security == [{"oauth2": ["profile", "photos"]}], f"the schema's scopes are {security}")
        self._note("and the OpenAPI document names the flow, and the scopes of each operation")

    def print_shop(self) -> None:
        url = f"{self.demo.print_shop_url}/api/prices"
        refused = self._get(url)
        expect(refused.status_code == 401, f"Print Shop let in a request without a token: {refused.status_code}")
        self._note(f"GET {url} without a token: {refused.status_code}")
        job = (JOB, self.demo.job_secret)
        form = {"grant_type": "client_credentials", "scope": "photos", "resource": self.demo.print_shop_url}
        where = f"{self.demo.server_url}/oauth/token"
        answer = httpx2.post(where, data=form, auth=job, timeout=TIMEOUT, trust_env=False)
        expect(answer.status_code == 200, f"the job got no token: {answer.text[:300]}")
        token = answer.json()["access_token"]
        expect(token.count(".") == 2, "the job's token is no JWT")
        prices = self._get(url, token)
        expect(prices.status_code == 200, f"Print Shop refused the token: {prices.text[:300]}")
        expect(prices.json()["issuer"] == self.demo.server_url, "the token's issuer is another one")
        own = self._get(f"{self.demo.server_url}/api/photos", token)
        expect(own.status_code == 401, f"Photo Box let in a token for Print Shop: {own.status_code}")
        self._note("the job's token for Print Shop opens Print Shop, by the server's published keys, and not Photo Box")

    def refresh(self) -> None:
        self.browser.open(f"{self.demo.app_url}/photos/")
        before = self.browser.read("#fingerprint")
        self.browser.press("Refresh it now")
        self._is_at("/photos/")
        after = self.browser.read("#fingerprint")
        expect(after != before, f"the token is the same after the refresh: {self.browser.text[:300]}")
        expect(self.browser.read("#owner") == self.demo.server_user.name, "the API does not answer after the refresh")
        self._note(f"the token's fingerprint was {before} and is {after}")

    def log_in(self) -> None:
        browser = self.other_browser
        browser.open(f"{self.demo.app_url}/log-in/")
        browser.press(LOG_IN)
        self._sign_in(browser, self.demo.server_user)
        if browser.url.startswith(self.demo.server_url):
            browser.press("Allow")
        expect(
            browser.url == f"{self.demo.app_url}/photos/", f"the log-in ended at {browser.url}: {browser.text[:300]}"
        )
        expect(browser.read("#who") == self.demo.app_user.name, "the account logged in somebody else")
        self._note(
            f"{self.demo.server_user.name} at Photo Box is {self.demo.app_user.name} at Postcards, who connected it"
        )

    def _sign_in(self, browser: Browser, person: Person) -> None:
        browser.press("Log in", username=person.name, password=person.password)

    def _get(self, url: str, token: str = "") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return httpx2.get(url, headers=headers, timeout=TIMEOUT, trust_env=False)
        except httpx2.HTTPError as error:
            raise StepFailed(f"GET {url}: {type(error).__name__}") from None

    def _is_at(self, path: str, browser: Browser | None = None) -> None:
        browser = browser or self.browser
        at = urlsplit(browser.url)
        expect(f"{at.scheme}://{at.netloc}" == self.demo.app_url, f"the browser is at {at.netloc}, not at the app")
        expect(at.path == path, f"the browser is at {at.path}, not {path}; it says: {browser.text[:300]}")

    def _is_authorization_link(self, url: str) -> None:
        expect(url.startswith(f"{self.demo.server_url}/oauth/authorize?"), f"the link leads to {url.partition('?')[0]}")
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        expected = {
            "response_type": "code",
            "client_id": self.demo.client_id,
            "redirect_uri": f"{self.demo.app_url}/connect/photo-box/callback",
            "scope": " ".join(SCOPES),
            "code_challenge_method": "S256",
        }
        for name, value in expected.items():
            expect(query.get(name) == value, f"the link's {name} is {query.get(name)!r}, not {value!r}")
        for name in ("state", "code_challenge"):
            expect(len(query.get(name, "")) == 43, f"the link's {name} is not 43 characters long")

    def _note(self, words: str) -> None:
        self.console.print(Text.assemble(("   ✓ ", "green"), words))
