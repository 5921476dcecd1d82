"""Bad weather of a moment is sat out; what the provider says is done as it says."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.transport import Answer, TransportError
from tests.client.acme import TOKEN_URL, Acme, Sent, as_json, error

TOKENS = as_json({"access_token": "new", "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture
def due(connection: Connection, acme: Acme, one_try: None, monkeypatch: Any) -> Connection:
    monkeypatch.setattr(refresh, "BACKOFF_SECONDS", (0.01, 0.02))
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.sent.clear()
    return Connection.objects.get()


def script(acme: Acme, *answers: Answer | Exception) -> None:
    waiting = list(answers)

    def answer(sent: Sent) -> Answer:
        scripted = waiting.pop(0)
        if isinstance(scripted, Exception):
            raise scripted
        return scripted

    acme.answers[TOKEN_URL] = answer


@pytest.mark.parametrize("fault", [Answer(503, b""), TransportError("no answer"), Answer(502, b"<html>")])
def test_fault_of_a_moment_is_sat_out(fault: Answer | Exception, due: Connection, acme: Acme) -> None:
    script(acme, fault, fault, TOKENS)
    assert due.access_token() == "new"
    assert len(acme.asked()) == 3


def test_three_tries_are_enough(due: Connection, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = Answer(503, b"")
    with pytest.raises(ProviderUnavailable):
        due.access_token()
    assert len(acme.asked()) == 3
    assert Connection.objects.get().status == "active"


def test_refusal_after_a_fault_counts(due: Connection, acme: Acme) -> None:
    script(acme, TransportError("lost answer"), error("invalid_grant"))
    with pytest.raises(ReconnectRequired):
        due.access_token()


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("0", 0), ("Wed, 21 Oct 2037 07:28:00 GMT", 60), ("9" * 8, 86400)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_told_and_not_ignored(status: int, said: str, seconds: int, due: Connection, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = Answer(status, b"{}", {"retry-after": said})
    with pytest.raises(ProviderUnavailable) as refused:
        due.access_token()
    assert refused.value.retry_after == seconds
    assert len(acme.asked()) == (1 if seconds else 3)


def test_tries_end_within_their_time(due: Connection, acme: Acme, monkeypatch: Any) -> None:
    monkeypatch.setattr(refresh, "BACKOFF_SECONDS", (5.0, 5.0))
    monkeypatch.setattr(refresh, "PATIENCE_SECONDS", 0.1)
    acme.answers[TOKEN_URL] = Answer(503, b"")
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        due.access_token()
    assert time.monotonic() - began < 2
    assert len(acme.asked()) == 1
