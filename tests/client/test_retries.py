"""Bad weather of a moment is sat out; what the provider says is done as it says."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from django_pkce_auth.client import refresh, told_to_wait
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


def pause(due: Connection, acme: Acme, said: str) -> None:
    acme.answers[TOKEN_URL] = Answer(429, b"{}", {"retry-after": said})
    with pytest.raises(ProviderUnavailable):
        due.access_token()
    acme.sent.clear()
    acme.answers[TOKEN_URL] = TOKENS


def test_provider_is_not_asked_before_the_time_that_it_named(due: Connection, acme: Acme) -> None:
    began = timezone.now()
    pause(due, acme, "9")
    with pytest.raises(ProviderUnavailable, match=r"acme asked for a pause of refreshes\.") as refused:
        Connection.objects.get().access_token()
    assert 0 < refused.value.retry_after <= 9
    early, late = began + timedelta(seconds=8.9), timezone.now() + timedelta(seconds=9)
    with pytest.raises(ProviderUnavailable):
        refresh.access_token(Connection.objects.get(), transport=None, now=early)
    assert not acme.asked()
    assert refresh.access_token(Connection.objects.get(), transport=None, now=late) == "new"


def test_pause_begins_when_the_provider_answers(due: Connection, acme: Acme) -> None:
    answered: list[datetime] = []

    def slowly(sent: Sent) -> Answer:
        time.sleep(0.3)
        answered.append(timezone.now())
        return Answer(429, b"{}", {"retry-after": "7"})

    acme.answers[TOKEN_URL] = slowly
    with pytest.raises(ProviderUnavailable):
        due.access_token()
    assert told_to_wait.seconds_left(due, now=answered[0] + timedelta(seconds=6.9)) >= 1


def test_token_that_is_still_valid_serves_during_the_pause(due: Connection, acme: Acme) -> None:
    pause(due, acme, "7")
    Connection.objects.update(access_token_expires_at=timezone.now() + timedelta(seconds=30))
    assert Connection.objects.get().access_token() == due.raw_access_token
    assert not acme.asked()


def test_pause_ends_after_a_minute_however_long_the_provider_said(due: Connection, acme: Acme) -> None:
    began = timezone.now()
    pause(due, acme, "86400")
    assert told_to_wait.seconds_left(due, now=began) == 60
    assert told_to_wait.seconds_left(due, now=began + timedelta(seconds=59.9)) >= 1
    assert told_to_wait.seconds_left(due, now=timezone.now() + timedelta(seconds=60)) == 0


def test_pause_is_for_these_tokens_alone(due: Connection, acme: Acme) -> None:
    """What a provider limits may be one of its users, and who connects again has other tokens."""
    pause(due, acme, "60")
    past = timezone.now() - timedelta(seconds=1)
    other = Connection.objects.get()
    other.pk, other.account_digest = None, None
    other.save(force_insert=True)
    assert Connection.objects.get(pk=other.pk).access_token() == "new"
    Connection.objects.filter(pk=due.pk).update(updated_at=past)
    assert Connection.objects.get(pk=due.pk).access_token() == "new"


def test_cache_that_is_down_holds_nobody_up_and_the_log_says_so(
    due: Connection, acme: Acme, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr(told_to_wait, "cache", type("Down", (), dict.fromkeys(("get", "set"), down)))
    pause(due, acme, "60")
    assert Connection.objects.get().access_token() == "new"
    (record,) = [record for record in caplog.records if getattr(record, "event", "") == "wait_not_kept"]
    assert (record.levelname, record.getMessage()) == ("WARNING", "The cache did not keep a provider's wait")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no cache"


def test_pause_is_kept_for_no_longer_than_it_lasts(due: Connection, acme: Acme, monkeypatch: Any) -> None:
    kept: list[int] = []
    monkeypatch.setattr(told_to_wait.cache, "set", lambda key, value, timeout: kept.append(timeout))
    pause(due, acme, "7")
    pause(due, acme, "86400")
    assert kept == [7, 60]


def test_tries_end_within_their_time(due: Connection, acme: Acme, monkeypatch: Any) -> None:
    monkeypatch.setattr(refresh, "BACKOFF_SECONDS", (5.0, 5.0))
    monkeypatch.setattr(refresh, "PATIENCE_SECONDS", 0.1)
    paused: list[float] = []
    monkeypatch.setattr(refresh, "time", SimpleNamespace(monotonic=time.monotonic, sleep=paused.append))
    acme.answers[TOKEN_URL] = Answer(503, b"")
    with pytest.raises(ProviderUnavailable):
        due.access_token()
    assert paused == []
    assert len(acme.asked()) == 1
