"""A transaction that the database undoes for another's sake is run again: what a provider gave is given once."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.transport import Answer
from tests.client.acme import TOKEN_URL, TOKENS, Acme, Sent, as_json, connect
from tests.test_outages import database_raises, failure

pytestmark = pytest.mark.django_db(transaction=True)


def gives_way(statement: str) -> Any:
    """Let the next such statement on the table of connections be the one that the database chooses."""
    table = database.ops.quote_name(Connection._meta.db_table)
    return database_raises(failure(1213, "Deadlock found"), times=1, only=f"{statement} {table}")


@pytest.mark.parametrize("statement", ["UPDATE", "INSERT INTO"])
@pytest.mark.parametrize("login", [False, True])
def test_account_is_stored_at_the_next_try(statement: str, login: bool, signed_in: Browser, acme: Acme) -> None:
    """MariaDB does it to one of a callback and a disconnect of the same account."""
    browser = Browser() if login else signed_in
    with gives_way(statement) as failed:
        assert connect(browser, login=login).status_code == 302
    assert len(failed) == 1
    assert Connection.objects.get().raw_access_token == TOKENS["access_token"]
    assert ConnectAttempt.objects.get().completed_at is not None
    assert len(acme.asked()) == 1


@pytest.mark.parametrize("at", ["the claim", "the new tokens"])
def test_refreshed_tokens_are_stored_at_the_next_try(at: str, connection: Connection, acme: Acme) -> None:
    """PostgreSQL does it, at REPEATABLE READ, to who waited for another one's change of the row."""
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.sent.clear()
    with ExitStack() as failing:

        def answer(sent: Sent) -> Answer:
            if at == "the new tokens":
                failed.append(failing.enter_context(gives_way("UPDATE")))
            return as_json(TOKENS | {"access_token": "new", "refresh_token": "new-refresh"})

        failed = [failing.enter_context(gives_way("UPDATE"))] if at == "the claim" else []
        acme.answers[TOKEN_URL] = answer
        assert Connection.objects.get().access_token() == "new"
    assert [len(each) for each in failed] == [1]
    after = Connection.objects.get()
    assert (after.raw_refresh_token, after.status, after.refresh_claimed_until) == ("new-refresh", "active", None)
    assert len(acme.asked()) == 1


@pytest.mark.parametrize("statement", ["UPDATE", "DELETE FROM"])
def test_connection_is_removed_at_the_next_try(statement: str, connection: Connection, signed_in: Browser) -> None:
    with gives_way(statement) as failed:
        assert signed_in.post("/connect/", {"connection": connection.pk}).status_code == 200
    assert len(failed) == 1
    assert not Connection.objects.exists()
