"""Races for one account at another server: first connects and first log-ins at the same moment."""

from __future__ import annotations

from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.test import Client as Browser

from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.secrets import generate
from tests.served.races.cast import make_user
from tests.served.races.race import Race, expect
from tests.served.wire import FORM, Request

CSRF = "c" * 32


class ConnectRace(Race[str]):
    """Three callbacks for an account that nobody has connected yet: one row, and every visitor lands well.

    Every second race they are three tabs of one signed-in user; in the others three strangers who log in, for whom
    one user is made.
    """

    name = "connect"
    racers = 3

    def set_up(self) -> None:
        self.slug = f"fake{self.index}"
        self.provider = urlsplit(self.setup["providers"][self.index])
        self.done = {"connect": 0, "login": 0}
        self.users = get_user_model().objects.count

    def prepare(self, count: int) -> list[str]:
        return [f"account-{self.index}-{generate()[:12]}" for _ in range(count)]

    def run(self, item: str) -> str:
        kind = "login" if ord(item[-1]) % 2 else "connect"
        user = None if kind == "login" else make_user(item)
        browsers = [self._headers(user) for _ in range(self.racers)]
        path = f"/connect/{self.slug}/" + ("login" if user is None else "")
        begun = self.ask([Request("POST", path, {"next": "/landed"}, headers) for headers in browsers])
        expect([answer.status for answer in begun] == [303] * self.racers, [answer.body[:200] for answer in begun])
        back = [urlsplit(self._agree(answer.headers["location"], item)) for answer in begun]
        callbacks = [
            Request("GET", f"{url.path}?{url.query}", headers=headers)
            for url, headers in zip(back, browsers, strict=True)
        ]
        answers = self.race(callbacks)
        landed = [(answer.status, answer.headers.get("location")) for answer in answers]
        expect(landed == [(302, "/landed")] * self.racers, [landed, [answer.body[-600:] for answer in answers]])
        row = self._only(item)
        expect(user is None or row.user_id == user.pk, "another user's")
        self._who(browsers, [answer.headers.get("set-cookie", "") for answer in answers], row)
        return kind

    def verify(self, done: int) -> None:
        expect(Connection.objects.filter(provider=self.slug).count() == done, "more rows than accounts")
        attempts = ConnectAttempt.objects.filter(provider=self.slug)
        expect(not attempts.filter(completed_at=None).exists(), "an attempt that did not end well")
        owners = Connection.objects.filter(provider=self.slug).values("user").distinct().count()
        expect(owners == done, "more users than accounts, or fewer")
        attempts.delete()

    def _only(self, subject: str) -> Connection:
        rows = list(Connection.objects.filter(provider=self.slug, subject=subject).select_related("user"))
        expect(len(rows) == 1, f"{len(rows)} rows for one account")
        return rows[0]

    def _headers(self, user: object | None) -> dict[str, str]:
        cookies = [f"__Host-pkce_auth={generate()}", f"csrftoken={CSRF}"]
        if user is not None:
            browser = Browser()
            browser.force_login(user)  # type: ignore[arg-type]
            cookies.append(f"sessionid={browser.cookies['sessionid'].value}")
        return {"Cookie": "; ".join(cookies), "X-CSRFToken": CSRF}

    def _agree(self, location: str, subject: str) -> str:
        """Press Approve at the provider; return where it sends the browser."""
        asked = urlsplit(location)
        provider = HTTPConnection(self.provider.hostname or "", self.provider.port, timeout=30)
        form = urlencode({"decision": "approve", "sub": subject, "name": subject})
        provider.request("POST", f"{asked.path}?{asked.query}", form, {"Content-Type": FORM})
        answer = provider.getresponse()
        answer.read()
        provider.close()
        return str(answer.getheader("Location"))

    def _who(self, browsers: list[dict[str, str]], cookies: list[str], row: Connection) -> None:
        """Every browser sees the one connection on its page, whoever was logged in as its user."""
        requests = []
        for headers, cookie in zip(browsers, cookies, strict=True):
            session = (
                f"{headers['Cookie']}; {cookie.partition(';')[0]}" if "sessionid=" in cookie else headers["Cookie"]
            )
            requests.append(Request("GET", "/connect/", headers={"Cookie": session}))
        for page in self.ask(requests):
            expect(page.status == 200, f"the page of connections answered {page.status}")
            expect(f"{row.pk}".encode() in page.body, "the connection is not on the page")
