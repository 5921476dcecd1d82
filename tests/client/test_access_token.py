"""``Connection.access_token()``: valid when handed out, refreshed once, and never broken by bad weather."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.errors import ConnectError, ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.providers import UnknownProvider
from django_pkce_auth.signals import connection_broken, connection_refreshed
from django_pkce_auth.transport import Answer, TransportError
from tests.client.acme import ACCESS_TOKEN, REFRESH_TOKEN, TOKEN_URL, Acme, Sent, as_json, connect, error

NEW_ACCESS, NEW_REFRESH = "new-access-token-0123456789", "new-refresh-token-0123456789"


@pytest.fixture
def due(connection: Connection, acme: Acme) -> Connection:
    """A connection whose token is over; the provider has new ones ready."""
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.sent.clear()
    acme.tokens(access_token=NEW_ACCESS, refresh_token=NEW_REFRESH)
    return Connection.objects.get()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The names of the signals that were sent."""
    names: list[str] = []

    def broken(**_: Any) -> None:
        names.append("broken")

    def refreshed(**_: Any) -> None:
        names.append("refreshed")

    connection_broken.connect(broken)
    connection_refreshed.connect(refreshed)
    yield names
    connection_broken.disconnect(broken)
    connection_refreshed.disconnect(refreshed)


def stored() -> Connection:
    return Connection.objects.get()


def test_fresh_token_needs_no_request_and_no_query(
    connection: Connection, acme: Acme, django_assert_num_queries: Any
) -> None:
    acme.sent.clear()
    fresh = stored()
    with django_assert_num_queries(0):
        assert fresh.access_token() == ACCESS_TOKEN
    assert not acme.sent


def test_token_that_is_over_is_refreshed_once_rfc6749_6(due: Connection, acme: Acme) -> None:
    assert due.access_token() == NEW_ACCESS
    assert due.access_token() == NEW_ACCESS
    assert stored().access_token() == NEW_ACCESS
    (asked,) = acme.asked()
    assert asked.form == {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
    assert asked.headers["Authorization"].startswith("Basic ")


def test_rotated_refresh_token_is_stored_and_used_next(due: Connection, acme: Acme) -> None:
    due.access_token()
    assert stored().raw_refresh_token == NEW_REFRESH
    stored().access_token(now=timezone.now() + timedelta(hours=2))
    assert [asked.form["refresh_token"] for asked in acme.asked()] == [REFRESH_TOKEN, NEW_REFRESH]


def test_token_is_refreshed_a_minute_ahead(connection: Connection, acme: Acme) -> None:
    end = stored().access_token_expires_at
    acme.tokens(access_token=NEW_ACCESS)
    assert stored().access_token(now=end - timedelta(seconds=61)) == ACCESS_TOKEN
    assert stored().access_token(now=end - timedelta(seconds=60)) == NEW_ACCESS


def test_answer_without_a_refresh_token_keeps_the_old_one(due: Connection, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS, refresh_token=None)
    assert due.access_token() == NEW_ACCESS
    assert stored().raw_refresh_token == REFRESH_TOKEN


def test_refresh_tells_the_scope_that_is_left(due: Connection, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS, scope="photos")
    due.access_token()
    assert stored().scopes == ("photos",)


def test_refresh_that_says_no_scope_keeps_the_old_one(due: Connection, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS, scope=None)
    due.access_token()
    assert stored().scopes == ("photos", "profile")


def test_new_tokens_are_stored_though_their_scope_can_not_be_read(due: Connection, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS, refresh_token=NEW_REFRESH, scope='"')
    assert due.access_token() == NEW_ACCESS
    assert stored().raw_refresh_token == NEW_REFRESH


def test_refresh_takes_one_read_a_claim_a_store_and_a_release(due: Connection, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):
        due.access_token(now=timezone.now() + timedelta(minutes=1))


def test_stale_object_gets_what_another_process_stored(due: Connection, acme: Acme) -> None:
    stale = stored()
    due.access_token()
    assert stale.access_token() == NEW_ACCESS
    assert len(acme.asked()) == 1


def test_refreshed_signal_is_sent_after_the_commit(
    due: Connection, heard: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        due.access_token()
        assert heard == []
    assert heard == ["refreshed"]


@pytest.mark.parametrize("status", [400, 401, 200])
def test_invalid_grant_breaks_the_connection_once(
    status: int, due: Connection, acme: Acme, heard: list[str], django_capture_on_commit_callbacks: Any, log: Any
) -> None:
    acme.answers[TOKEN_URL] = error("invalid_grant", f"token {REFRESH_TOKEN} revoked", status=status)
    with django_capture_on_commit_callbacks(execute=True):
        for connection in (due, due, stored()):
            with pytest.raises(ReconnectRequired):
                connection.access_token()
    assert stored().status == "needs_reconnect"
    assert heard == ["broken"]
    assert len(acme.asked()) == 1
    assert REFRESH_TOKEN not in log.text


def test_broken_connection_is_told_with_all_that_a_project_needs(
    due: Connection, acme: Acme, django_capture_on_commit_callbacks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    acme.answers[TOKEN_URL] = error("invalid_grant")
    sent: list[dict[str, Any]] = []

    def hear(**facts: Any) -> None:
        sent.append(facts)

    before = due.updated_at
    connection_broken.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            with pytest.raises(ReconnectRequired, match=f"acme no longer honours connection {due.pk}"):
                due.access_token()
            assert sent == []  # only once it is stored
    finally:
        connection_broken.disconnect(hear)
    assert len(callbacks) == 1
    assert [(facts["sender"], facts["connection"]) for facts in sent] == [(Connection, due)]
    assert due.status == "needs_reconnect"
    assert stored().updated_at > before
    (line,) = (each for each in caplog.records if getattr(each, "event", "") == "connection_broken")
    assert (line.levelname, line.getMessage()) == ("WARNING", f"Connection {due.pk} needs its user to reconnect")


WEATHER: dict[str, Any] = {
    "503": Answer(503, b"later"),
    "500 with invalid_grant": error("invalid_grant", status=500),
    "time-out": TransportError("https://acme.example did not answer: ReadTimeout."),
    "html": Answer(200, b"<html>"),
    "429": Answer(429, b""),
    "redirect": Answer(302, b"", {"location": "https://evil.example"}),
    "invalid_client": error("invalid_client", status=401),
    "invalid_request": error("invalid_request"),
    "no access token": as_json({"token_type": "Bearer"}),
    "mac": as_json({"access_token": "a", "token_type": "mac"}),
}


@pytest.mark.parametrize("name", WEATHER)
def test_no_usable_answer_changes_nothing_and_the_next_call_tries_again(
    name: str, due: Connection, acme: Acme, heard: list[str]
) -> None:
    before = Connection.objects.values().get()
    acme.answers[TOKEN_URL] = WEATHER[name]
    for _ in range(2):
        with pytest.raises(ProviderUnavailable) as refused:
            due.access_token()
        assert REFRESH_TOKEN not in str(refused.value)
    after = Connection.objects.values().get()
    assert {name: after[name] for name in before} == before
    acme.tokens(access_token=NEW_ACCESS)
    assert due.access_token() == NEW_ACCESS
    assert len(acme.asked()) == 3


def test_token_that_is_due_serves_until_the_provider_is_back(connection: Connection, acme: Acme) -> None:
    end = stored().access_token_expires_at
    acme.answers[TOKEN_URL] = Answer(503, b"")
    assert stored().access_token(now=end - timedelta(seconds=30)) == ACCESS_TOKEN
    with pytest.raises(ProviderUnavailable):
        stored().access_token(now=end)


def test_fault_of_our_own_releases_the_claim(due: Connection, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        due.access_token()
    assert stored().refresh_claimed_until is None


def test_expired_token_without_a_refresh_token_needs_its_user(due: Connection, acme: Acme, heard: list[str]) -> None:
    Connection.objects.update(raw_refresh_token="")
    with pytest.raises(ReconnectRequired, match="no refresh token"):
        stored().access_token()
    assert stored().status == "needs_reconnect"
    assert not acme.sent


def test_token_without_a_refresh_token_serves_to_its_end(connection: Connection, acme: Acme) -> None:
    Connection.objects.update(raw_refresh_token="")
    end = stored().access_token_expires_at
    assert stored().access_token(now=end - timedelta(seconds=1)) == ACCESS_TOKEN


@pytest.mark.parametrize("status", ["needs_reconnect", "revoked"])
def test_connection_that_is_not_active_needs_its_user(status: str, connection: Connection, acme: Acme) -> None:
    Connection.objects.update(status=status)
    acme.sent.clear()
    with pytest.raises(ReconnectRequired, match=status):
        stored().access_token()
    assert not acme.sent


def test_tokens_that_no_key_opens_need_their_user_and_an_administrator(
    due: Connection, pkce_auth: Any, log: Any, acme: Acme, signed_in: Browser
) -> None:
    pkce_auth(ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    with pytest.raises(ReconnectRequired, match="decrypted"):
        stored().access_token()
    assert any("ENCRYPTION_KEYS" in message for message in log.errors)
    assert Connection.objects.values_list("status", flat=True).get() == "needs_reconnect"
    assert not acme.sent
    assert "Needs to be connected again" in signed_in.get("/connect/").content.decode()
    assert connect(signed_in).status_code == 302
    assert stored().access_token() == NEW_ACCESS


def test_saving_a_row_that_no_key_opens_destroys_nothing(connection: Connection, pkce_auth: Any, settings: Any) -> None:
    before = settings.PKCE_AUTH["ENCRYPTION_KEYS"]
    pkce_auth(ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    broken = stored()
    broken.label = "renamed in the admin"
    broken.save()
    pkce_auth(ENCRYPTION_KEYS=before)
    assert stored().label == "renamed in the admin"
    assert stored().access_token() == ACCESS_TOKEN
    assert stored().raw_refresh_token == REFRESH_TOKEN


def test_provider_that_left_the_settings_is_said_by_name(due: Connection, settings: Any, pkce_auth: Any) -> None:
    pkce_auth(PROVIDERS={})
    with pytest.raises(UnknownProvider, match="acme"):
        due.access_token()
    assert stored().status == "active"


def test_connection_that_was_removed_meanwhile_needs_its_user(due: Connection) -> None:
    Connection.objects.all().delete()
    with pytest.raises(ReconnectRequired, match="removed"):
        due.access_token()


class Meanwhile:
    """A transport during whose request something happens."""

    def __init__(self, acme: Acme, happens: Any) -> None:
        self.acme, self.happens = acme, happens

    def request(self, *arguments: Any, **rest: Any) -> Answer:
        self.happens()
        return self.acme.request(*arguments, **rest)


def test_connection_that_is_removed_during_the_refresh_needs_its_user(due: Connection, acme: Acme) -> None:
    with pytest.raises(ReconnectRequired):
        due.access_token(transport=Meanwhile(acme, Connection.objects.all().delete))


def test_connection_that_is_disconnected_during_the_refresh_stays_so(due: Connection, acme: Acme) -> None:
    with pytest.raises(ReconnectRequired):
        due.access_token(transport=Meanwhile(acme, lambda: Connection.objects.update(status="revoked")))
    assert stored().raw_access_token == ACCESS_TOKEN


@pytest.mark.parametrize("answer", ["tokens", "invalid_grant"])
def test_connecting_again_during_a_refresh_wins(answer: str, due: Connection, acme: Acme, signed_in: Browser) -> None:
    def connect_again() -> None:
        acme.tokens(access_token="from-the-new-consent", refresh_token="refresh-of-the-new-consent")
        connect(signed_in)
        if answer == "invalid_grant":
            acme.answers[TOKEN_URL] = error("invalid_grant")
        else:
            acme.tokens(access_token="from-the-old-family", refresh_token="refresh-of-the-old-family")

    assert due.access_token(transport=Meanwhile(acme, connect_again)) == "from-the-new-consent"
    assert stored().raw_refresh_token == "refresh-of-the-new-consent"
    assert stored().status == "active"


def claim(until: datetime) -> None:
    Connection.objects.update(refresh_claimed_until=until)


def test_claim_of_another_process_is_waited_for_and_its_result_used(
    due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(timezone.now() + timedelta(seconds=10))
    waits: list[float] = []

    def other_process_finishes(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            later = timezone.now() + timedelta(hours=1)
            Connection.objects.update(
                raw_access_token="theirs", access_token_expires_at=later, refresh_claimed_until=None
            )

    # Not the module's own, for which a thread that looks whether the row is free waits as well.
    monkeypatch.setattr(refresh, "time", SimpleNamespace(monotonic=time.monotonic, sleep=other_process_finishes))
    assert due.access_token() == "theirs"
    assert len(waits) == 3
    assert not acme.sent


def test_claim_of_a_process_that_died_lapses(due: Connection, acme: Acme) -> None:
    claim(timezone.now() - timedelta(seconds=1))
    assert due.access_token() == NEW_ACCESS
    assert len(acme.asked()) == 1


def test_claim_that_never_ends_is_not_waited_for_without_end(
    due: Connection, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(timezone.now() + timedelta(hours=1))
    monkeypatch.setattr(refresh, "CLAIM", timedelta(seconds=0.2))
    with pytest.raises(ProviderUnavailable, match="Another process"):
        due.access_token()
    assert not acme.sent


def test_token_that_is_still_valid_is_not_waited_for(connection: Connection, acme: Acme) -> None:
    claim(timezone.now() + timedelta(hours=1))
    acme.sent.clear()
    soon = stored().access_token_expires_at - timedelta(seconds=5)
    assert stored().access_token(now=soon) == ACCESS_TOKEN
    assert not acme.sent


def test_slow_process_whose_claim_lapsed_breaks_nothing(due: Connection, acme: Acme) -> None:
    """Ours is asked with a token that another process has spent since; its answer is no verdict on the new one."""

    def other_process_takes_over() -> None:
        claim(timezone.now() - timedelta(seconds=1))
        stored().access_token()

    def spent(sent: Sent) -> Answer:
        return error("invalid_grant")

    def happens() -> None:
        other_process_takes_over()
        acme.answers[TOKEN_URL] = spent

    assert due.access_token(transport=Meanwhile(acme, happens)) == NEW_ACCESS
    assert stored().status == "active"


def test_errors_are_all_of_one_family() -> None:
    for kind in (ProviderUnavailable, ReconnectRequired, UnknownProvider):
        assert issubclass(kind, ConnectError)
