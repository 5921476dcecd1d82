"""A client's secret is replaced again and again while its processes go on asking for tokens."""

from __future__ import annotations

from django.utils import timezone

from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import AccessToken, ClientSecret, TokenFamily
from tests.served.races.cast import Program, make_families, make_user
from tests.served.races.race import Race, expect
from tests.served.wire import Answer, Request

GRANT = {"grant_type": "client_credentials", "scope": "read"}


class RotationRace(Race[str]):
    """Each round a new secret is added and the one before the last is removed, while four requests are under way.

    They use the two secrets that are in force, and what is asked differs; no request may fail. What was removed must
    be refused as soon as the removal is done.
    """

    name = "rotation"
    racers = 4

    def set_up(self) -> None:
        self.user = make_user(f"rotation-{self.index}")
        self.program = Program.register(f"rotation-{self.index}", public=False)
        assert self.program.secret
        self.current = self.program.secret
        (given,) = make_families(self.program, self.user, 1)
        self.token, self.refresh_token = given.access_token, given.refresh_token

    def prepare(self, count: int) -> list[str]:
        return [""] * count

    def run(self, item: str) -> str:
        before = self.current
        gone = list(
            ClientSecret.objects.filter(client=self.program.client).order_by("-pk").values_list("pk", flat=True)
        )
        wires, requests = self.wires, self._requests(before, before)
        for wire, request in zip(wires[:2], requests[:2], strict=True):
            wire.send(request)
        self.current = add_secret(self.program.client, now=timezone.now())
        for wire, request in zip(wires[2:], self._requests(before, self.current)[2:], strict=True):
            wire.send(request)
        ClientSecret.objects.filter(pk__in=gone[1:]).delete()
        answers = [wire.receive() for wire in wires]
        expect([answer.status for answer in answers] == [200] * 4, [answer.body for answer in answers])
        self._went_on(answers)
        (old,) = self.ask([self.program.post("/oauth/token", GRANT, secret=self.program.secret)])
        replaced = self.program.secret not in (before, self.current)
        # 429 once the brake on failures is on, which holds up no request that proves itself.
        expect(old.status in ((401, 429) if replaced else (200,)), f"a removed secret answered {old.status}")
        object.__setattr__(self.program, "secret", before)
        return "rotated"

    def verify(self, done: int) -> None:
        expect(ClientSecret.objects.filter(client=self.program.client).count() == 2, "not two secrets")
        TokenFamily.objects.filter(client=self.program.client, user=None).delete()
        expect(AccessToken.objects.filter(family__client=self.program.client).count() == done + 1, "tokens")

    def _requests(self, first: str, second: str) -> list[Request]:
        post = self.program.post
        return [
            post("/oauth/token", GRANT, secret=first),
            post("/oauth/introspect", {"token": self.token}, secret=first),
            post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": self.refresh_token}, secret=first),
            post("/oauth/token", GRANT, secret=second),
        ]

    def _went_on(self, answers: list[Answer]) -> None:
        expect(answers[1].json()["active"], "an active token was not")
        given = answers[2].json()
        self.token, self.refresh_token = given["access_token"], given["refresh_token"]
