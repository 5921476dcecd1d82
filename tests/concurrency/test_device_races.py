"""A device that polls many times at once, and two people who answer at once (RFC 8628 §3.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.models import AccessToken, Consent, DeviceCode, TokenFamily
from tests.concurrency.race import THREADS, at_once
from tests.four_steps import App, bearer


@pytest.fixture
def tv(register: Callable[..., App]) -> App:
    return register(client_id="tv", public=True, uris=(), grant_types=f"refresh_token {DEVICE_CODE}")


@pytest.fixture
def codes(tv: App) -> dict[str, Any]:
    answer: Any = tv.post("/oauth/device_authorization", scope="read")
    return dict(answer.json())


def answer_as(browser: Browser, codes: dict[str, Any], decision: str) -> Callable[[], Any]:
    def press() -> Any:
        own = Browser()
        own.cookies = browser.cookies
        return own.post("/oauth/device", {"user_code": codes["user_code"], "decision": decision})

    return press


def test_polls_at_once_have_exactly_one_winner(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    assert answer_as(signed_in, codes, "approve")().status_code == 200
    polls = at_once(*[lambda: tv.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])] * THREADS)
    assert Counter(poll.status_code for poll in polls) == {200: 1, 400: THREADS - 1}
    assert {poll.json()["error"] for poll in polls if poll.status_code == 400} == {"invalid_grant"}
    assert (TokenFamily.objects.count(), AccessToken.objects.count()) == (1, 1)
    (won,) = [poll.json() for poll in polls if poll.status_code == 200]
    assert Browser().get("/api/read", headers=bearer(won["access_token"])).status_code == 200


def test_answers_at_once_are_one_persons(
    tv: App, codes: dict[str, Any], signed_in: Browser, django_user_model: Any
) -> None:
    bob = Browser()
    bob.force_login(django_user_model.objects.create_user("bob"))
    presses = [answer_as(signed_in, codes, "approve"), answer_as(bob, codes, "approve")] * (THREADS // 2)
    answers = at_once(*presses)
    assert {answer.status_code for answer in answers} <= {200, 400, 429}
    assert sum(b"Device connected" in answer.content for answer in answers) == 1
    consent, row = Consent.objects.get(), DeviceCode.objects.get()
    assert consent.user_id == row.user_id


def test_withdrawal_at_the_moment_of_the_poll_leaves_nothing_alive(
    tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any
) -> None:
    answer_as(signed_in, codes, "approve")()

    def end() -> Any:
        return withdraw(user=alice, client=tv.client, now=timezone.now())

    def poll() -> Any:
        return tv.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])

    *polls, _ = at_once(*[poll] * (THREADS - 1), end)
    assert {answer.status_code for answer in polls} <= {200, 400}
    for answer in polls:
        if answer.status_code == 200:
            token = answer.json()["access_token"]
            assert Browser().get("/api/read", headers=bearer(token)).status_code == 401
