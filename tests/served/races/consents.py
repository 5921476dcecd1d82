"""Races between a withdrawal of consent and everything that lives by it."""

from __future__ import annotations

from django.test import Client as Browser

from django_pkce_auth.server.models import AuthorizationCode, Consent, TokenFamily
from tests.four_steps import App
from tests.served.races.cast import Program, make_codes, make_user, use
from tests.served.races.race import Race, expect
from tests.served.wire import Answer, Request

CSRF = "c" * 32


class ConsentRace(Race[str]):
    """A withdrawal on the page of apps against two authorization requests and an exchange that have begun.

    Every second race the person approves once more at that moment, so either answer may be the last one; in the
    others the requests rely on the consent, so that after the withdrawal nothing may work.
    """

    name = "consent"
    racers = 4

    def set_up(self) -> None:
        self.user = make_user(f"consent-{self.index}")
        self.program = Program.register(f"consent-{self.index}", public=False)
        browser = Browser()
        browser.force_login(self.user)
        cookies = f"sessionid={browser.cookies['sessionid'].value}; csrftoken={CSRF}"
        self.headers = {"Cookie": cookies, "X-CSRFToken": CSRF}
        self.link = App(self.program.client, None).link()

    def prepare(self, count: int) -> list[str]:
        return make_codes(self.program, self.user, count)

    def run(self, item: str) -> str:
        Consent.objects.bulk_create(
            [Consent(user=self.user, client=self.program.client, scope="read")], ignore_conflicts=True
        )
        approves = ord(item[-1]) % 2 == 0
        ask = Request("GET", self.link, headers=self.headers)
        press = Request("POST", self.link, {"decision": "approve"}, self.headers)
        withdraw = Request("POST", "/oauth/apps", {"client_id": self.program.client.client_id}, self.headers)
        requests = [press if approves else ask, ask, self.program.redeem(item), withdraw]
        *returned, redeemed, withdrawn = self.race(requests)
        expect(withdrawn.status == 302, f"the withdrawal answered {withdrawn.status}")
        expect(redeemed.status in (200, 400), f"the exchange answered {redeemed.status}")
        expect(not self._lives(redeemed), "a token of before works after the withdrawal")
        codes = [self._code(answer) for answer in returned]
        alive = [self._lives(answer) for answer in self.ask([self.program.redeem(code) for code in codes if code])]
        consent = Consent.objects.filter(user=self.user, client=self.program.client).exists()
        expect(approves or not consent, "the consent came back without being asked for")
        expect(consent or not any(alive), "access works that the page of apps does not show")
        self._forget()
        kind = "approved" if approves else "asked"
        return f"{kind}, {sum(map(bool, codes))} codes, {sum(alive)} alive, exchange {redeemed.status}"

    def verify(self, done: int) -> None:
        expect(not AuthorizationCode.objects.filter(client=self.program.client, family=None).exists(), "a code is left")

    def _code(self, answer: Answer) -> str:
        expect(answer.status in (200, 303), f"the authorization request answered {answer.status}")
        if answer.status == 200:
            return ""
        expect("code" in answer.returned, answer.returned)
        return answer.returned["code"]

    def _lives(self, answer: Answer) -> bool:
        """Whether the tokens of this answer, if it has any, work. Both do, or none."""
        if answer.status != 200:
            return False
        given = answer.json()
        statuses = [each.status for each in self.ask([use(given["access_token"])])]
        statuses += [each.status for each in self.ask([self.program.refresh(given["refresh_token"])])]
        expect(statuses in ([200, 200], [401, 400]), statuses)
        return statuses == [200, 200]

    def _forget(self) -> None:
        TokenFamily.objects.filter(client=self.program.client).delete()
