"""What a refresh writes, while it asks and after: on its own row alone, and never over what others have written."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import TestCase
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.refresh import USE_INTERVAL, access_token, note_use
from django_pkce_auth.signals import connection_refreshed
from django_pkce_auth.transport import Answer
from tests.client.acme import ACCESS_TOKEN, TOKEN_URL, TOKENS, Acme, Sent, as_json, error

NEW = "new-access-token-0123456789"


@pytest.fixture
def due(connection: Connection, acme: Acme) -> Connection:
    """A connection whose token is over; the provider has a new one ready."""
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.sent.clear()
    acme.tokens(access_token=NEW)
    return Connection.objects.get()


@pytest.fixture
def neighbour(connection: Connection) -> Callable[[], dict[str, Any]]:
    """Another connection that was written at the very same moment; called, it returns its columns."""
    other = Connection.objects.get()
    other.pk, other.subject, other.account_digest = None, "43", b"\1" * 32
    other.save()
    return lambda: dict(Connection.objects.filter(pk=other.pk).values().get())


def answering(then: Callable[[], object], members: Any = TOKENS | {"access_token": NEW}) -> Callable[[Sent], Answer]:
    """An answer of the provider, before which something happens here."""

    def answer(_: Sent) -> Answer:
        then()
        return as_json(members)

    return answer


def test_row_is_claimed_while_the_provider_is_asked(due: Connection, acme: Acme) -> None:
    # Ahead of the clock, which otherwise counts where it is later.
    now, claims = timezone.now() + timedelta(minutes=1), []
    row = Connection.objects.filter(pk=due.pk)
    acme.answers[TOKEN_URL] = answering(lambda: claims.append(row.get().refresh_claimed_until))
    assert access_token(due, transport=acme, now=now) == NEW
    assert claims == [now + refresh.CLAIM]
    assert row.get().refresh_claimed_until is None


def test_claim_outlasts_a_transport_that_waits_for_long(due: Connection, acme: Acme) -> None:
    """Did it lapse while the provider is asked, another process would send the same refresh token."""
    now, claims = timezone.now(), []
    row = Connection.objects.filter(pk=due.pk)
    acme.answers[TOKEN_URL] = answering(lambda: claims.append(row.get().refresh_claimed_until))
    acme.deadline = 60.0  # type: ignore[attr-defined]
    access_token(due, transport=acme, now=now)
    assert claims[0] >= now + timedelta(seconds=60 + refresh.PATIENCE_SECONDS)


def test_claim_begins_when_the_endpoint_is_known(due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    now, claims = timezone.now(), []
    row = Connection.objects.filter(pk=due.pk)
    acme.answers[TOKEN_URL] = answering(lambda: claims.append(row.get().refresh_claimed_until))
    real = refresh.get_provider

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.2)
        return real(*arguments, **named)

    monkeypatch.setattr(refresh, "get_provider", slowly)
    access_token(due, transport=acme, now=now)
    assert claims[0] >= now + refresh.CLAIM + timedelta(seconds=0.2)


@pytest.mark.parametrize("slow", ["the cache", "the row", "the row's lock"])
def test_claim_is_whole_whatever_was_waited_for_before(
    slow: str, due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Did it lapse while the provider is asked, another process would send the same refresh token."""
    now, claims = timezone.now(), []
    row = Connection.objects.filter(pk=due.pk)
    acme.answers[TOKEN_URL] = answering(lambda: claims.append(row.get().refresh_claimed_until))
    owner, name = {
        "the cache": (refresh.told_to_wait, "seconds_left"),
        "the row": (refresh, "_reread"),
        "the row's lock": (refresh, "_write"),
    }[slow]
    real, waits = getattr(owner, name), [0.4]

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(waits.pop() if waits else 0)
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, slowly)
    monkeypatch.setattr(refresh, "PROMPT", timedelta(seconds=0.1), raising=False)
    waits_no_longer = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: pytest.fail("for its own first claim"))
    monkeypatch.setattr(refresh, "time", waits_no_longer)
    assert access_token(due, transport=acme, now=now) == NEW
    (until,) = claims
    assert until >= now + refresh.CLAIM + timedelta(seconds=0.4)
    assert row.get().refresh_claimed_until is None


@pytest.mark.django_db(transaction=True)
def test_refresh_whose_caller_was_cancelled_is_stored_and_frees_the_row(due: Connection, acme: Acme) -> None:
    """An ASGI server cancels the view of a visitor who hangs up; the old refresh token may be spent by then."""
    asked, go_on = threading.Event(), threading.Event()
    acme.answers[TOKEN_URL] = answering(lambda: (asked.set(), go_on.wait(10)))

    async def visit() -> None:
        task = asyncio.ensure_future(due.aaccess_token())
        while not asked.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    async_to_sync(visit)()
    after = Connection.objects.get()
    assert (after.raw_access_token, after.refresh_claimed_until) == (NEW, None)
    assert after.access_token() == NEW
    assert len(acme.asked()) == 1


@pytest.mark.parametrize("answer", ["tokens", "invalid_grant", "503"])
def test_another_connection_keeps_its_tokens_and_its_claim(
    answer: str, due: Connection, acme: Acme, neighbour: Callable[[], dict[str, Any]]
) -> None:
    now = timezone.now()
    claimed = Connection.objects.filter(pk=neighbour()["id"])
    claimed.update(refresh_claimed_until=None)
    before = neighbour() | {"refresh_claimed_until": now + refresh.CLAIM}
    said = {"tokens": as_json(TOKENS), "invalid_grant": error("invalid_grant"), "503": Answer(503, b"")}[answer]

    def happen(_: Sent) -> Answer:
        assert neighbour()["refresh_claimed_until"] is None
        claimed.update(refresh_claimed_until=now + refresh.CLAIM)
        return said

    acme.answers[TOKEN_URL] = happen
    try:
        access_token(due, transport=acme, now=now)
    except (ReconnectRequired, ProviderUnavailable):
        assert answer != "tokens"
    assert neighbour() == before


def test_claim_that_another_process_has_by_now_is_left_to_it(due: Connection, acme: Acme) -> None:
    row = Connection.objects.filter(pk=due.pk)
    theirs = timezone.now() + timedelta(minutes=1)
    acme.answers[TOKEN_URL] = answering(lambda: row.update(refresh_claimed_until=theirs))
    due.access_token()
    assert row.get().refresh_claimed_until == theirs


def test_token_without_an_end_is_returned_at_once(due: Connection, acme: Acme, django_assert_num_queries: Any) -> None:
    acme.tokens(access_token=NEW, expires_in=None)
    with django_assert_num_queries(4):
        assert due.access_token(now=timezone.now() + timedelta(minutes=1)) == NEW
    assert Connection.objects.get().access_token_expires_at is None


def test_signal_says_which_connection_has_new_tokens(due: Connection, django_capture_on_commit_callbacks: Any) -> None:
    heard: list[tuple[Any, Any]] = []

    def hear(sender: Any, connection: Any, **_: Any) -> None:
        heard.append((sender, connection))

    connection_refreshed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            due.access_token()
    finally:
        connection_refreshed.disconnect(hear)
    assert heard == [(Connection, due)]


counted: list[tuple[str, dict[str, str]]] = []


def count(name: str, **labels: str) -> None:
    counted.append((name, labels))


def test_refresh_that_failed_is_counted_and_a_line_of_the_log(
    due: Connection, acme: Acme, caplog: pytest.LogCaptureFixture, pkce_auth: Any
) -> None:
    pkce_auth(METRICS=f"{__name__}.count")
    counted.clear()
    acme.answers[TOKEN_URL] = Answer(503, b"")
    with pytest.raises(ProviderUnavailable) as failed:
        due.access_token()
    (line,) = (each for each in caplog.records if getattr(each, "event", "") == "connection_refresh_failed")
    assert (line.levelname, line.getMessage()) == ("WARNING", f"Connection {due.pk} was not refreshed: {failed.value}")
    assert counted == [("connection_refresh_failed", {"provider": "acme"})]


def test_token_endpoint_is_discovered_over_the_transport_of_the_call(
    due: Connection, acme: Acme, pkce_auth: Any
) -> None:
    pkce_auth.provider(token_url=None)
    acme.answers["https://acme.example/.well-known/oauth-authorization-server"] = as_json(
        {
            "issuer": "https://acme.example",
            "authorization_endpoint": "https://acme.example/oauth/authorize",
            "token_endpoint": TOKEN_URL,
            "code_challenge_methods_supported": ["S256"],
        }
    )
    assert due.access_token(transport=acme) == NEW


class TestTokenThatTheApiRefused:
    """It is replaced whatever its lifetime says, and never handed out again."""

    def test_is_not_returned_while_another_process_refreshes(
        self, connection: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, row = timezone.now(), Connection.objects.filter(pk=connection.pk)
        row.update(refresh_claimed_until=now + timedelta(seconds=10))
        monkeypatch.setattr(
            refresh,
            "time",
            SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: row.update(raw_access_token="theirs")),
        )
        assert access_token(row.get(), transport=acme, now=now, rejected=ACCESS_TOKEN) == "theirs"

    def test_is_not_returned_where_the_provider_is_away(self, connection: Connection, acme: Acme) -> None:
        acme.answers[TOKEN_URL] = Answer(503, b"")
        with pytest.raises(ProviderUnavailable):
            access_token(connection, transport=acme, now=timezone.now(), rejected=ACCESS_TOKEN)

    def test_is_not_returned_where_there_is_no_refresh_token(self, connection: Connection, acme: Acme) -> None:
        Connection.objects.update(raw_refresh_token="")
        with pytest.raises(ReconnectRequired, match="no refresh token"):
            access_token(connection, transport=acme, now=timezone.now(), rejected=ACCESS_TOKEN)
        assert Connection.objects.get().status == "needs_reconnect"


def test_waiting_for_another_process_ends_with_a_reason(
    due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(refresh_claimed_until=timezone.now() + timedelta(hours=1))
    monkeypatch.setattr(refresh, "CLAIM", timedelta(seconds=0.1))
    text = r"^Another process has been refreshing this connection for too long\.$"
    with pytest.raises(ProviderUnavailable, match=text):
        due.access_token()


def test_tokens_that_came_while_a_verdict_was_made_are_used(due: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read without a refresh token; before that is written down, the user has connected again."""
    Connection.objects.update(raw_refresh_token="")
    real = refresh._break

    def overtaken(connection: Connection, now: Any) -> bool:
        end = timezone.now() + timedelta(hours=1)
        Connection.objects.update(raw_access_token="newer", access_token_expires_at=end, updated_at=timezone.now())
        return real(connection, now)

    monkeypatch.setattr(refresh, "_break", overtaken)
    assert due.access_token() == "newer"


def note(connection: Connection, *, now: Any) -> None:
    """Note a use, and commit it as if no test were around it."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        note_use(connection, now=now)


class TestUse:
    def noted(self, connection: Connection, **ago: float) -> bool:
        """Whether a use is noted where the last one was so long ago."""
        now = timezone.now()
        last = now - timedelta(**ago)
        Connection.objects.filter(pk=connection.pk).update(last_used_at=last)
        seen = Connection.objects.get(pk=connection.pk)
        note(seen, now=now)
        stored = Connection.objects.get(pk=connection.pk).last_used_at
        assert seen.last_used_at == stored in (now, last)
        return stored == now

    def test_is_noted_once_in_five_minutes(self, connection: Connection, django_assert_num_queries: Any) -> None:
        assert not self.noted(connection, minutes=4, seconds=59)
        assert not self.noted(connection, minutes=5)
        assert self.noted(connection, minutes=5, microseconds=1)
        just_noted = Connection.objects.get()
        with django_assert_num_queries(0):
            note(just_noted, now=timezone.now())

    def test_is_noted_on_its_own_row(self, connection: Connection, neighbour: Callable[[], dict[str, Any]]) -> None:
        before = neighbour()
        assert self.noted(connection, hours=1)
        assert neighbour() == before

    def test_of_another_process_is_not_set_back(self, connection: Connection) -> None:
        now = timezone.now()
        stale = Connection.objects.get()
        Connection.objects.update(last_used_at=now)
        note(stale, now=now - timedelta(seconds=1))
        assert Connection.objects.get().last_used_at == now
        note(stale, now=now + USE_INTERVAL - timedelta(microseconds=1))
        assert Connection.objects.get().last_used_at == now
