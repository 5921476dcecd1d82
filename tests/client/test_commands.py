"""pkce_refresh and pkce_rotate_keys."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db import connection as database
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.rotate import rotate_all
from django_pkce_auth.management import progress
from django_pkce_auth.transport import Answer
from tests.client.acme import ACCESS_TOKEN, REFRESH_TOKEN, TOKEN_URL, TOKENS, Acme, as_json, error
from tests.test_outages import database_raises, failure


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def add(user: Any, *, subject: str, minutes: int, **fields: Any) -> Connection:
    end = timezone.now() + timedelta(minutes=minutes)
    fields = {"raw_access_token": "old", "raw_refresh_token": "old-refresh", "access_token_expires_at": end} | fields
    return Connection.objects.create(user=user, provider="acme", subject=subject, **fields)


def test_refresh_takes_what_is_due_and_leaves_the_rest(alice: Any, acme: Acme) -> None:
    due = add(alice, subject="1", minutes=4)
    add(alice, subject="2", minutes=60)
    add(alice, subject="3", minutes=4, raw_refresh_token="")
    add(alice, subject="4", minutes=4, status="needs_reconnect")
    assert run("pkce_refresh", "--due") == ("1 refreshed, 0 need their user to reconnect, 0 could not be reached.")
    assert len(acme.asked()) == 1
    due.refresh_from_db()
    assert due.raw_access_token == ACCESS_TOKEN


def test_refresh_counts_what_is_broken_and_what_can_not_be_reached(alice: Any, acme: Acme) -> None:
    add(alice, subject="1", minutes=-1)
    acme.answers[TOKEN_URL] = error("invalid_grant")
    assert "1 need their user" in run("pkce_refresh", "--due")
    add(alice, subject="2", minutes=-1)
    acme.answers[TOKEN_URL] = Answer(503, b"")
    assert "1 could not be reached" in run("pkce_refresh", "--due")


def test_refresh_goes_on_behind_a_provider_that_left_the_settings(alice: Any, acme: Acme) -> None:
    add(alice, subject="1", minutes=-2)
    Connection.objects.update(provider="gone")
    due = add(alice, subject="2", minutes=-1)
    assert run("pkce_refresh", "--due") == "1 refreshed, 0 need their user to reconnect, 1 could not be reached."
    due.refresh_from_db()
    assert due.raw_access_token == ACCESS_TOKEN


@pytest.mark.django_db(transaction=True)
def test_refresh_goes_on_behind_a_row_that_is_locked_for_too_long(
    alice: Any, acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    add(alice, subject="1", minutes=-2)
    due = add(alice, subject="2", minutes=-1)
    with database_raises(failure(1205, "Lock wait timeout exceeded"), times=1, only="UPDATE"):
        assert run("pkce_refresh", "--due") == "1 refreshed, 0 need their user to reconnect, 1 could not be reached."
    assert "Lock wait timeout exceeded" in caplog.text
    due.refresh_from_db()
    assert due.raw_access_token == ACCESS_TOKEN


@pytest.mark.django_db(transaction=True)
def test_refresh_ends_with_a_fault_of_its_own(alice: Any, acme: Acme) -> None:
    add(alice, subject="1", minutes=-1)
    with database_raises(failure(1054, "Unknown column"), only="UPDATE"), pytest.raises(OperationalError):
        run("pkce_refresh", "--due")


def test_refresh_ahead_of_time_stores_the_end_that_the_provider_said(alice: Any, acme: Acme) -> None:
    due = add(alice, subject="1", minutes=9)
    run("pkce_refresh", "--due", "--within", "600")
    due.refresh_from_db()
    lasting = due.access_token_expires_at - timezone.now()
    assert timedelta(minutes=59) < lasting <= timedelta(hours=1)
    assert due.updated_at <= timezone.now()


def test_refresh_ahead_of_time_leaves_a_refresh_under_way_to_its_process(
    alice: Any, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked twice with the same refresh token, a provider that rotates takes the second for a thief."""
    due = add(alice, subject="1", minutes=2)
    row = Connection.objects.filter(pk=due.pk)
    row.update(refresh_claimed_until=timezone.now() + refresh.CLAIM)
    end = timezone.now() + timedelta(hours=1)
    theirs = {"raw_access_token": "theirs", "access_token_expires_at": end, "refresh_claimed_until": None}
    monkeypatch.setattr(
        refresh, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: row.update(**theirs))
    )
    assert run("pkce_refresh", "--due", "--within", "600").startswith("1 refreshed")
    assert acme.asked() == []


def test_refresh_ahead_of_time_that_is_killed_keeps_nobody_out_for_long(alice: Any, acme: Acme) -> None:
    due = add(alice, subject="1", minutes=2)
    claims: list[Any] = []

    def answer(_: Any) -> Answer:
        claims.append(Connection.objects.get().refresh_claimed_until)
        return Answer(503, b"")

    acme.answers[TOKEN_URL] = answer
    assert "1 could not be reached" in run("pkce_refresh", "--due", "--within", "86400")
    assert claims[0] <= timezone.now() + refresh.CLAIM
    due.refresh_from_db()
    assert due.raw_access_token == "old"


def test_refresh_leaves_alone_what_another_process_refreshed_since_it_began(
    alice: Any, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = (add(alice, subject=subject, minutes=minutes) for subject, minutes in (("1", -2), ("2", -1)))

    def answer(_: Any) -> Answer:
        end = timezone.now() + timedelta(hours=1)
        Connection.objects.filter(pk=second.pk).update(raw_access_token="theirs", access_token_expires_at=end)
        return as_json(TOKENS)

    acme.answers[TOKEN_URL] = answer
    run("pkce_refresh", "--due")
    assert len(acme.asked()) == 1
    second.refresh_from_db()
    assert second.raw_access_token == "theirs"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("command", [("pkce_refresh", "--due"), ("pkce_rotate_keys", "--batch", "1")])
def test_person_who_looks_on_sees_how_far_it_is(
    command: tuple[str, ...], rich: bool, alice: Any, acme: Acme, monkeypatch: Any
) -> None:
    for number in range(3):
        add(alice, subject=str(number), minutes=-1)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    out = Terminal()
    call_command(*command, stdout=out, stderr=StringIO())
    assert "3 of 3" in out.getvalue()


def test_log_of_cron_gets_one_line(alice: Any, acme: Acme) -> None:
    add(alice, subject="1", minutes=-1)
    assert "\n" not in run("pkce_refresh", "--due")


def stored_texts() -> list[str]:
    with database.cursor() as cursor:
        cursor.execute("SELECT access_token, refresh_token FROM pkce_auth_connection")
        return [text for row in cursor.fetchall() for text in row]


def test_rotated_rows_open_without_the_old_key(connection: Connection, pkce_auth: Any, settings: Any) -> None:
    old, new = settings.PKCE_AUTH["ENCRYPTION_KEYS"][0], Fernet.generate_key().decode()
    pkce_auth(ENCRYPTION_KEYS=[new, old])
    assert run("pkce_rotate_keys", "--batch", "1").startswith("2 re-encrypted")
    pkce_auth(ENCRYPTION_KEYS=[new])
    after = Connection.objects.get()
    assert (after.raw_access_token, after.raw_refresh_token) == (ACCESS_TOKEN, REFRESH_TOKEN)


def test_rotation_is_not_done_twice(connection: Connection, pkce_auth: Any, settings: Any) -> None:
    pkce_auth(ENCRYPTION_KEYS=[Fernet.generate_key().decode(), *settings.PKCE_AUTH["ENCRYPTION_KEYS"]])
    run("pkce_rotate_keys")
    before = stored_texts()
    assert run("pkce_rotate_keys").startswith("0 re-encrypted, 2 had the first key already")
    assert stored_texts() == before


def test_rotation_that_was_ended_half_way_goes_on(alice: Any, pkce_auth: Any, settings: Any) -> None:
    for number in range(5):
        add(alice, subject=str(number), minutes=60)
    new = Fernet.generate_key().decode()
    pkce_auth(ENCRYPTION_KEYS=[new, *settings.PKCE_AUTH["ENCRYPTION_KEYS"]])
    steps = rotate_all(batch=2)
    assert next(steps) == (2, {"rotated": 4})
    steps.close()
    assert run("pkce_rotate_keys").startswith("6 re-encrypted, 4 had the first key already")
    pkce_auth(ENCRYPTION_KEYS=[new])
    assert {row.raw_access_token for row in Connection.objects.all()} == {"old"}


def test_rotation_says_what_no_key_opens_and_leaves_it(connection: Connection, pkce_auth: Any) -> None:
    pkce_auth(ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    before = stored_texts()
    with pytest.raises(CommandError, match="missing key"):
        run("pkce_rotate_keys")
    assert stored_texts() == before
