"""A consent that is withdrawn while what relied on it is redeemed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import outages
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.models import Client, Consent, TokenFamily
from tests.concurrency.race import THREADS, at_once
from tests.four_steps import App, approve, bearer, returned

FAMILIES = 3000
"""So many that a database finds those of one user by an index, as in production: its locks differ from a walk's."""


@pytest.fixture
def phone(register: Callable[..., App]) -> App:
    return register(client_id="phone", public=True, grant_types=f"authorization_code refresh_token {DEVICE_CODE}")


@pytest.fixture
def families_of_others(phone: App) -> None:
    now = timezone.now()
    columns = {"client": phone.client, "scope": "read", "created_at": now, "last_used_at": now, "has_siblings": False}
    TokenFamily.objects.bulk_create(TokenFamily(**columns) for _ in range(FAMILIES))
    table = connection.ops.quote_name(TokenFamily._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE TABLE {table}" if connection.vendor == "mysql" else f"ANALYZE {table}")


@contextmanager
def slow_to_end_families(reached: Event) -> Iterator[None]:
    def paused(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and TokenFamily._meta.db_table in sql:
            reached.set()
            time.sleep(0.4)
        return execute(sql, *rest)

    with connection.execute_wrapper(paused):
        yield


def redeem_what_a_withdrawal_has(redeem: Callable[[], Any], client: Client, user: Any, *, times: int) -> None:
    """So many redeem at once what the withdrawal has removed already, while it has yet to end the families."""
    reached = Event()

    def end() -> Any:
        with slow_to_end_families(reached):
            return withdraw(user=user, client=client, now=timezone.now())

    def then_redeem() -> Any:
        assert reached.wait(30)
        return redeem()

    *answers, _ = at_once(*[then_redeem] * times, end)
    assert {answer.status_code for answer in answers} <= {200, 400}
    for answer in answers:
        if answer.status_code == 200:
            token = answer.json()["access_token"]
            assert Browser().get("/api/read", headers=bearer(token)).status_code == 401
    assert not Consent.objects.exists()


def test_code_at_the_moment_of_a_withdrawal(
    families_of_others: None, phone: App, signed_in: Browser, alice: Any
) -> None:
    code = approve(signed_in, phone.link())["code"]
    # An app that repeats itself; each may have to give way, and is answered at its next try.
    redeem_what_a_withdrawal_has(lambda: phone.redeem(code), phone.client, alice, times=3)


def test_device_code_at_the_moment_of_a_withdrawal(
    families_of_others: None, phone: App, signed_in: Browser, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices poll, so that many may come at once; none of them has to give way to begin with."""
    monkeypatch.setattr(outages, "TRIES", 1)
    codes: Any = phone.post("/oauth/device_authorization", scope="read").json()
    signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": "approve"})
    poll = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"]}
    redeem_what_a_withdrawal_has(lambda: phone.post(**poll), phone.client, alice, times=THREADS - 1)


@pytest.mark.parametrize("more", ["write", "read"], ids=["another scope", "a scope of before"])
def test_approval_at_the_moment_of_a_withdrawal_brings_back_nothing_else(
    app: App, signed_in: Browser, alice: Any, more: str
) -> None:
    approve(signed_in, app.link(scopes=("read", "profile")))
    reached = Event()

    def end() -> Any:
        with slow_to_end_families(reached):
            return withdraw(user=alice, client=app.client, now=timezone.now())

    def then_press() -> Any:
        assert reached.wait(30)
        browser = Browser()
        browser.cookies = signed_in.cookies
        return returned(browser.post(app.link(scopes=(more,)), {"decision": "approve"}))

    _, back = at_once(end, then_press)
    assert Consent.objects.get().scopes == (more,)
    assert app.redeem(back["code"]).json()["scope"] == more
    assert signed_in.get(app.link(scopes=("profile",))).status_code == 200  # the page, which asks
