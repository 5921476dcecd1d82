"""A client's secrets: when each ends, and when it was last used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.secrets import digest, fingerprint
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import ClientSecret
from tests.four_steps import App

FINGERPRINT_SENT = "the fingerprint of a secret was sent; the secret itself was shown once, when it was made"


def updates(captured: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in captured if "clientsecret" in query["sql"] and query["sql"].startswith("UPDATE")]


def ask(app: App) -> int:
    """A request that authenticates the client and does nothing else."""
    return app.post("/oauth/introspect", token="unknown").status_code


def test_use_is_noted_at_most_once_an_hour(app: App, later: Callable[..., None]) -> None:
    noted = []
    for minutes in (0, 2, 30, 59, 61, 10):
        later(minutes=minutes)
        with CaptureQueriesContext(connection) as captured:
            assert ask(app) == 200
        noted.append(len(updates(captured)))
    assert noted == [0, 1, 0, 1, 1, 0]  # 0, 2, 32, 91, 152 and 162 minutes after it was made


def test_use_is_noted_of_the_secret_that_was_used(app: App, later: Callable[..., None]) -> None:
    second = App(app.client, add_secret(app.client, now=timezone.now()))
    later(minutes=5)
    assert ask(second) == 200
    assert second.secret
    used = {row.fingerprint: row.last_used_at for row in app.client.secrets.all()}
    assert used.pop(fingerprint(digest(second.secret))) == pytest.approx(timezone.now(), abs=timedelta(seconds=20))
    assert list(used.values()) == [None]


def test_use_of_a_wrong_secret_is_not_noted(app: App, later: Callable[..., None]) -> None:
    later(minutes=5)
    assert ask(App(app.client, "x" * 40)) == 401
    assert ClientSecret.objects.get().last_used_at is None


def test_two_requests_at_once_note_one_use(app: App, later: Callable[..., None]) -> None:
    from django_pkce_auth.server.authenticate import _note_use
    from django_pkce_auth.server.lookups import find_client

    known = find_client("photo-app")
    assert known is not None
    now = timezone.now()
    _note_use(known.secrets[0], now)
    _note_use(known.secrets[0], now + timedelta(seconds=1))
    assert ClientSecret.objects.get().last_used_at == now


def test_secret_ends_at_its_hour_while_the_other_goes_on(app: App, later: Callable[..., None]) -> None:
    second = App(app.client, add_secret(app.client, now=timezone.now()))
    ClientSecret.objects.filter(digest=digest(app.secret or "")).update(expires_at=timezone.now() + timedelta(hours=1))
    assert (ask(app), ask(second)) == (200, 200)
    later(hours=2)
    assert (ask(app), ask(second)) == (401, 200)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("expired", "the secret that was sent has expired"),
        ("digest", FINGERPRINT_SENT),
        ("fingerprint", FINGERPRINT_SENT),
        ("other", "no secret of the client that is still valid matches"),
    ],
)
def test_refusal_tells_the_log_why_and_the_client_nothing(
    app: App, what: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = ClientSecret.objects.get()
    if what == "expired":
        ClientSecret.objects.update(expires_at=timezone.now())
    presented: Any = {"digest": stored.digest.hex(), "fingerprint": stored.fingerprint, "other": "y" * 40}
    with caplog.at_level(logging.WARNING):
        response = App(app.client, presented.get(what, app.secret)).post("/oauth/introspect", token="unknown")
    assert response.status_code == 401
    (line,) = (each for each in caplog.records if getattr(each, "event", "") == "client_authentication_failed")
    assert line.__dict__["oauth"]["reason"] == words
    assert words not in response.content.decode()
    assert presented.get(what, app.secret) not in caplog.text
