"""Where a router keeps our tables in another database: every statement goes there, and every signal waits for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import IntegrityError
from django.test import Client as Browser
from django.test import TestCase

from django_pkce_auth import signals
from django_pkce_auth.client import connections
from django_pkce_auth.client.errors import ReconnectRequired
from django_pkce_auth.client.models import ConnectAttempt, Connection
from tests import second_database
from tests.client.acme import ACCESS_TOKEN, CODE, Acme, begin, come_back, connect, error

pytestmark = second_database.only_there
TOKEN_URL = "https://acme.example/oauth/token"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def elsewhere(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.second_database.Router"]


def heard() -> AbstractContextManager[list[str]]:
    names = ("connection_made", "connection_refreshed", "connection_broken", "connection_removed")
    return second_database.told({name: getattr(signals, name) for name in names})


def test_account_is_connected_again_and_disconnected(signed_in: Browser) -> None:
    for _ in range(2):
        with heard() as names:
            assert connect(signed_in).status_code == 302
        assert names == ["connection_made"]
    assert ConnectAttempt.objects.filter(completed_at=None).count() == 0
    with heard() as names:
        assert signed_in.post("/connect/", {"connection": Connection.objects.get().pk}).status_code in (200, 302)
    assert names == ["connection_removed"]
    assert not Connection.objects.exists()


def test_attempt_is_used_once_and_removed_when_it_is_over(signed_in: Browser) -> None:
    state = begin(signed_in)["state"]
    assert come_back(signed_in, code=CODE, state=state).status_code == 302
    assert come_back(signed_in, code=CODE, state=state).status_code == 302
    assert come_back(signed_in, code=CODE, state="another").status_code == 400
    ConnectAttempt.objects.update(expires_at=LONG_AGO)
    with TestCase.captureOnCommitCallbacks(using=second_database.ALIAS, execute=True):
        begin(signed_in)
        assert ConnectAttempt.objects.count() == 2
    assert ConnectAttempt.objects.count() == 1


@pytest.mark.parametrize("known", [False, True])
def test_person_logs_in(known: bool, db: None) -> None:
    for _ in range(1 + known):
        browser = Browser()
        with heard() as names:
            assert connect(browser, login=True).status_code == 302
        assert names == ["connection_made"]
        assert "_auth_user_id" in browser.session
    assert Connection.objects.count() == 1


def test_user_is_not_made_where_the_connection_can_not_be(
    django_user_model: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*arguments: Any, **named: Any) -> Any:
        raise IntegrityError("stored by another request at this moment")

    monkeypatch.setattr(connections, "store_once", taken)
    with pytest.raises(IntegrityError):
        connect(Browser(), login=True)
    assert not django_user_model.objects.exists()


def test_token_is_refreshed(connection: Connection) -> None:
    Connection.objects.update(access_token_expires_at=LONG_AGO)
    due = Connection.objects.get()
    with heard() as names:
        assert due.access_token() == ACCESS_TOKEN
    assert names == ["connection_refreshed"]
    row = Connection.objects.get()
    assert row.refresh_claimed_until is None
    assert row.access_token_expires_at != LONG_AGO


def test_connection_is_broken(connection: Connection, acme: Acme) -> None:
    Connection.objects.update(access_token_expires_at=LONG_AGO)
    acme.answers[TOKEN_URL] = error("invalid_grant")
    with heard() as names, pytest.raises(ReconnectRequired):
        Connection.objects.get().access_token()
    assert names == ["connection_broken"]
    assert Connection.objects.get().status == Connection.Status.NEEDS_RECONNECT


def test_keys_are_rotated(connection: Connection, pkce_auth: Any, settings: Any) -> None:
    new = Fernet.generate_key().decode()
    pkce_auth(ENCRYPTION_KEYS=[new, *settings.PKCE_AUTH["ENCRYPTION_KEYS"]])
    call_command("pkce_rotate_keys", verbosity=0)
    pkce_auth(ENCRYPTION_KEYS=[new])
    assert Connection.objects.get().raw_access_token == ACCESS_TOKEN
