"""Many at once: one refresh for all who wait, one exchange for one answer, one user for one account."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.signals import connection_broken
from django_pkce_auth.transport import Answer
from tests.client.acme import CODE, TOKEN_URL, Acme, Sent, as_json, begin, come_back, connect, error
from tests.concurrency.race import THREADS, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


@pytest.fixture(autouse=True)
def shared_database(transactional_db: None) -> None:
    if database.vendor == "sqlite" and database.is_in_memory_db():  # type: ignore[attr-defined]
        pytest.skip("several connections can't share an in-memory database")


Answering = Callable[[Answer], Callable[[Sent], Answer]]


@pytest.fixture
def while_all_wait(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Make an answer that comes once all but the one who asked wait for it."""
    waiting: set[int] = set()

    def sleep(seconds: float) -> None:
        waiting.add(threading.get_ident())
        time.sleep(seconds)

    def answering(answer: Answer) -> Callable[[Sent], Answer]:
        def respond(sent: Sent) -> Answer:
            end = time.monotonic() + refresh.CLAIM.total_seconds() / 2
            while len(waiting) < THREADS - 1 and time.monotonic() < end:
                time.sleep(0.01)
            return answer

        return respond

    monkeypatch.setattr(refresh, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    return answering


@pytest.fixture
def due(connection: Connection, acme: Acme) -> Connection:
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.sent.clear()
    return connection


def test_one_refresh_serves_all_who_wait(due: Connection, acme: Acme, while_all_wait: Answering) -> None:
    new = {"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 3600}
    acme.answers[TOKEN_URL] = while_all_wait(as_json(new))
    tokens = at_once(*[lambda: Connection.objects.get().access_token()] * THREADS)
    assert tokens == ["new-access"] * THREADS
    assert len(acme.asked()) == 1
    assert Connection.objects.get().raw_refresh_token == "new-refresh"


def test_connection_that_ended_is_said_once_to_all_who_wait(
    due: Connection, acme: Acme, while_all_wait: Answering
) -> None:
    acme.answers[TOKEN_URL] = while_all_wait(error("invalid_grant"))
    heard: list[int] = []

    def hear(connection: Connection, **_: Any) -> None:
        heard.append(connection.pk)

    def ask() -> str:
        with pytest.raises(ReconnectRequired):
            Connection.objects.get().access_token()
        return "refused"

    connection_broken.connect(hear)
    try:
        assert at_once(*[ask] * THREADS) == ["refused"] * THREADS
    finally:
        connection_broken.disconnect(hear)
    assert heard == [due.pk]
    assert len(acme.asked()) == 1


def test_provider_that_is_away_is_not_asked_by_all_who_wait_one_after_the_other(
    due: Connection, acme: Acme, while_all_wait: Answering
) -> None:
    acme.answers[TOKEN_URL] = while_all_wait(Answer(503, b""))

    def ask() -> str:
        with pytest.raises(ProviderUnavailable):
            Connection.objects.get().access_token()
        return "away"

    assert at_once(*[ask] * THREADS) == ["away"] * THREADS
    assert len(acme.asked()) == 1
    assert Connection.objects.get().status == "active"


def test_one_answer_is_exchanged_once(signed_in: Browser, acme: Acme) -> None:
    state = begin(signed_in, next="/albums")["state"]

    def open_callback() -> int:
        browser = Browser()
        browser.cookies.load({name: morsel.value for name, morsel in signed_in.cookies.items()})
        return int(come_back(browser, code=CODE, state=state).status_code)

    statuses = Counter(at_once(*[open_callback] * THREADS))
    assert statuses[302] >= 1
    assert set(statuses) <= {302, 400}
    assert len(acme.asked()) == 1
    assert Connection.objects.count() == 1


def test_one_account_that_logs_in_from_many_browsers_is_one_user(db: None, django_user_model: Any) -> None:
    def log_in() -> Any:
        browser = Browser()
        assert connect(browser, login=True).status_code == 302
        return browser.session["_auth_user_id"]

    assert len(set(at_once(*[log_in] * THREADS))) == 1
    assert django_user_model.objects.count() == 1
    assert Connection.objects.count() == 1
