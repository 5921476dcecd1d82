"""Races for a code, for a refresh token, and between refresh and revocation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from django_pkce_auth.server.grants.refresh_token import RETRIES, SIMULTANEOUS
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, RefreshToken, TokenFamily
from tests.served.races.cast import Given, Program, make_codes, make_families, make_user, use
from tests.served.races.race import Race, expect
from tests.served.wire import Answer, Request


def won(answers: Sequence[Answer]) -> list[dict[str, str]]:
    """Return the token responses; every other answer must be the one refusal."""
    expect({answer.status for answer in answers} <= {200, 400}, [answer.status for answer in answers])
    expect({answer.error for answer in answers if answer.status == 400} <= {"invalid_grant"}, "another refusal")
    return [answer.json() for answer in answers if answer.status == 200]


class TokenRace(Race[Given]):
    """One client, public or confidential by the driver's number, and one user."""

    def set_up(self) -> None:
        self.user = make_user(f"{self.name}-{self.index}")
        self.program = Program.register(f"{self.name}-{self.index}", public=self.index % 2 == 0)

    def opens(self, tokens: Sequence[str]) -> int:
        """Return how many of the access tokens open a guarded view."""
        answers = self.ask([use(token) for token in tokens])
        expect({answer.status for answer in answers} <= {200, 401}, [answer.status for answer in answers])
        return sum(answer.status == 200 for answer in answers)

    def renewed(self, tokens: Sequence[str]) -> list[dict[str, str]]:
        return won(self.ask([self.program.refresh(token) for token in tokens]))

    @property
    def families(self) -> int:
        return TokenFamily.objects.filter(client=self.program.client).count()


class CodeRace(TokenRace):
    """Four exchanges of one code: one success, and as the others are replays, nothing of it lives on."""

    name = "code"
    racers = 4

    def prepare(self, count: int) -> list[Given]:
        return [Given(0, "", code) for code in make_codes(self.program, self.user, count)]

    def run(self, item: Given) -> str:
        answers = self.race([self.program.redeem(item.refresh_token)] * self.racers)
        given = won(answers)
        expect(len(given) == 1, f"{len(given)} successes")
        expect(self.opens([given[0]["access_token"]]) == 0, "the access token lives on after the replay")
        expect(self.renewed([given[0]["refresh_token"]]) == [], "the refresh token lives on after the replay")
        return f"winner {next(place for place, answer in enumerate(answers) if answer.status == 200)}"

    def verify(self, done: int) -> None:
        codes = AuthorizationCode.objects.filter(client=self.program.client)
        expect(codes.filter(family=None).count() == 0, "a code is not claimed")
        expect(self.families == done, "a family without a code, or two for one")
        for model in (AccessToken, RefreshToken):
            expect(model.objects.filter(family__client=self.program.client).count() == done, model.__name__)
        live = TokenFamily.objects.filter(client=self.program.client).exclude(revoked_reason="replay")
        expect(not live.exists(), "a family outlived the replay")


class RefreshRace(TokenRace):
    """Six refreshes with one token: no error of ours, one family, at most the siblings that retries allow.

    On a machine so busy that the race takes longer than what counts as simultaneous, the last may be taken for a thief.
    """

    name = "refresh"
    racers = 6

    def set_up(self) -> None:
        super().set_up()
        self.given = self.ended = 0

    def prepare(self, count: int) -> list[Given]:
        return make_families(self.program, self.user, count)

    def run(self, item: Given) -> str:
        began = time.monotonic()
        given = won(self.race([self.program.refresh(item.refresh_token)] * self.racers))
        took = time.monotonic() - began
        expect(1 <= len(given) <= 1 + RETRIES, f"{len(given)} siblings")
        self.given += len(given)
        opened = self.opens([each["access_token"] for each in given])
        if took >= SIMULTANEOUS.total_seconds() and not opened:
            self.ended += 1
            expect(self.renewed([each["refresh_token"] for each in given]) == [], "a family is half ended")
            return "too slow to be one client's"
        expect(opened == len(given), f"{opened} tokens of {len(given)} answers work after {took:.1f} s")
        expect(len(self.renewed([given[-1]["refresh_token"]])) == 1, "the client can't go on")
        return f"{len(given)} siblings"

    def verify(self, done: int) -> None:
        expect(self.families == done, "more than one family")
        tokens = RefreshToken.objects.filter(family__client=self.program.client)
        counted = Counter(tokens.values_list("generation", flat=True))
        expect(counted == {0: done, 1: self.given, 2: done - self.ended}, counted)
        ended = TokenFamily.objects.filter(client=self.program.client, revoked_at__isnull=False).count()
        expect(ended == self.ended, f"{ended} families are revoked")


class RevocationRace(TokenRace):
    """Three refreshes and a revocation: when all are answered, no token of the family does anything."""

    name = "revocation"
    racers = 4

    def prepare(self, count: int) -> list[Given]:
        return make_families(self.program, self.user, count)

    def run(self, item: Given) -> str:
        place = item.family % self.racers
        named = item.access_token if item.family % 3 else item.refresh_token
        requests: list[Request] = [self.program.refresh(item.refresh_token)] * self.racers
        requests[place] = self.program.revoke(named)
        answers = self.race(requests)
        expect(answers.pop(place).status == 200, "the revocation failed")
        given = won(answers)
        handed_out = [item.access_token, *(each["access_token"] for each in given)]
        expect(self.opens(handed_out) == 0, "an access token works after the revocation")
        handed_out = [item.refresh_token, *(each["refresh_token"] for each in given)]
        expect(self.renewed(handed_out) == [], "a refresh token works after the revocation")
        return f"{len(given)} refreshed first"

    def verify(self, done: int) -> None:
        expect(self.families == done, "another family")
        expect(not TokenFamily.objects.filter(client=self.program.client, revoked_at=None).exists(), "not revoked")
