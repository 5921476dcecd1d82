"""Many requests at the same moment: the database decides, and nobody gets a server error (RFC 6749 §4.1.2)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server.grants import refresh_token
from django_pkce_auth.server.grants.refresh_token import RETRIES
from django_pkce_auth.server.models import (
    AccessToken,
    AuthorizationCode,
    Client,
    Consent,
    RefreshToken,
    TokenFamily,
)
from django_pkce_auth.server.revoke import revoke_family
from tests.concurrency.race import THREADS, at_once
from tests.four_steps import App, approve, bearer


def opens(access_token: str) -> bool:
    return bool(Browser().get("/api/read", headers=bearer(access_token)).status_code == 200)


@pytest.fixture(params=["confidential", "public"])
def either(request: pytest.FixtureRequest, app: App, public_app: App) -> App:
    return app if request.param == "confidential" else public_app


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a busy machine takes for them, requests that are sent together are simultaneous."""
    monkeypatch.setattr(refresh_token, "SIMULTANEOUS", timedelta(minutes=5))


@pytest.fixture
def either_code(either: App, signed_in: Browser) -> str:
    return approve(signed_in, either.link())["code"]


def test_code_race_has_exactly_one_winner_and_the_replays_end_its_tokens(either: App, either_code: str) -> None:
    answers = at_once(*[lambda: either.redeem(either_code)] * THREADS)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: THREADS - 1}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    assert (TokenFamily.objects.count(), AccessToken.objects.count(), RefreshToken.objects.count()) == (1, 1, 1)
    # Each of the others had every proof: two hands hold the code, so what it gave ends (RFC 6749 §4.1.2).
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert not opens(won["access_token"])
    assert either.refresh(won["refresh_token"]).status_code == 400


def test_code_race_of_strangers_burns_nothing(app: App, code: str, public_app: App) -> None:
    def wrong() -> Any:
        return app.redeem(code, code_verifier="x" * 43)

    def stranger() -> Any:
        return public_app.redeem(code)

    answers = at_once(*[wrong, stranger] * (THREADS // 2 - 1), lambda: app.redeem(code))
    assert [answer.status_code for answer in answers] == [400] * (THREADS - 2) + [200]
    assert opens(answers[-1].json()["access_token"])


def test_different_codes_at_once_all_work(either: App, signed_in: Browser) -> None:
    codes = [approve(signed_in, either.link())["code"] for _ in range(THREADS)]
    answers = at_once(*[lambda code=code: either.redeem(code) for code in codes])
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert all(opens(answer.json()["access_token"]) for answer in answers)


def test_refresh_race_stays_in_one_family_and_every_answer_works(
    either: App, either_code: str, one_moment: None
) -> None:
    tokens = either.redeem(either_code).json()
    answers = at_once(*[lambda: either.refresh(tokens["refresh_token"])] * THREADS)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 400}
    assert 1 <= statuses[200] <= 1 + RETRIES
    assert TokenFamily.objects.count() == 1
    assert RefreshToken.objects.filter(generation=1).count() == statuses[200]
    given = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(opens(answer["access_token"]) for answer in given)
    assert either.refresh(given[0]["refresh_token"]).status_code == 200


def test_refresh_race_without_rotation_serves_everyone(register: Any, signed_in: Browser) -> None:
    app = register(client_id="bank", rotates_refresh_tokens=False)
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    answers = at_once(*[lambda: app.refresh(tokens["refresh_token"])] * THREADS)
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert all(opens(answer.json()["access_token"]) for answer in answers)


def test_refresh_against_revocation_leaves_nothing_alive(either: App, either_code: str) -> None:
    """Whoever comes first: when both are done, no token of the family opens anything."""
    tokens = either.redeem(either_code).json()
    family = TokenFamily.objects.get()

    def revoke() -> Any:
        return revoke_family(family.pk, reason=TokenFamily.Reason.USER, now=timezone.now(), using="default")

    def refresh() -> Any:
        return either.refresh(tokens["refresh_token"])

    *answers, _ = at_once(*[refresh] * (THREADS - 1), revoke)
    assert {answer.status_code for answer in answers} <= {200, 400}
    given = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in [tokens, *given]:
        assert not opens(answer["access_token"])
        assert either.refresh(answer["refresh_token"]).status_code == 400


def test_code_race_against_disabling_leaves_nothing_alive(app: App, code: str) -> None:
    def disable() -> Any:
        return Client.objects.filter(pk=app.client.pk).update(disabled_at=timezone.now())

    *answers, _ = at_once(*[lambda: app.redeem(code)] * (THREADS - 1), disable)
    assert {answer.status_code for answer in answers} <= {200, 400, 401}
    assert not any(opens(answer.json()["access_token"]) for answer in answers if answer.status_code == 200)


def test_approvals_at_once_make_one_consent_and_a_code_each(app: App, alice: Any) -> None:
    def press() -> Any:
        browser = Browser()
        browser.cookies = signed_in.cookies
        return browser.post(app.link(), {"decision": "approve"})

    signed_in = Browser()
    signed_in.force_login(alice)
    answers = at_once(*[press] * THREADS)
    assert [answer.status_code for answer in answers] == [303] * THREADS
    assert Consent.objects.count() == 1
    assert AuthorizationCode.objects.count() == THREADS


@pytest.mark.parametrize("before", [(), ("profile",)], ids=["of a new app", "of one allowed before"])
def test_tabs_that_allow_different_scopes_at_once_are_all_remembered(
    app: App, signed_in: Browser, alice: Any, before: tuple[str, ...]
) -> None:
    def press(scope: str) -> str:
        browser = Browser()
        browser.cookies = signed_in.cookies
        return approve(browser, app.link(scopes=(scope,)))["code"]

    for _ in range(5):
        Consent.objects.all().delete()
        if before:
            Consent.objects.create(user=alice, client=app.client, scope=" ".join(before))
        codes = at_once(partial(press, "read"), partial(press, "write"))
        assert len(set(codes)) == 2
        assert set(Consent.objects.get().scopes) == {*before, "read", "write"}


def test_siblings_in_two_hands_do_not_go_on_side_by_side(
    public_app: App, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief who refreshes whenever the client does is found all the same (RFC 9700 §4.14)."""
    # Within the moment that is forgiven, one of them would only be refused.
    monkeypatch.setattr(refresh_token, "SIMULTANEOUS", timedelta(minutes=-1))
    for _ in range(5):
        first = public_app.redeem(approve(signed_in, public_app.link())["code"]).json()["refresh_token"]
        siblings = [public_app.refresh(first).json()["refresh_token"] for _ in range(2)]
        answers = at_once(*[partial(public_app.refresh, sibling) for sibling in siblings])
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        assert TokenFamily.objects.latest("pk").revoked_reason == TokenFamily.Reason.REUSE
        (given,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert not opens(given["access_token"])


def test_siblings_used_at_the_same_moment_end_nothing(public_app: App, signed_in: Browser, one_moment: None) -> None:
    first = public_app.redeem(approve(signed_in, public_app.link())["code"]).json()["refresh_token"]
    siblings = [public_app.refresh(first).json()["refresh_token"] for _ in range(2)]
    answers = at_once(*[partial(public_app.refresh, sibling) for sibling in siblings])
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    (given,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert opens(given["access_token"])
    assert public_app.refresh(given["refresh_token"]).status_code == 200
