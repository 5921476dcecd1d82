"""What a project keeps on a connection is saved without putting back tokens that were replaced meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from django_pkce_auth.client.models import Connection
from tests.client.acme import ACCESS_TOKEN, REFRESH_TOKEN, TOKEN_URL, TOKENS, Acme, as_json, connect

NEW_ACCESS, NEW_REFRESH = "new-access-token-0123456789", "new-refresh-token-0123456789"


@pytest.fixture
def read_before(connection: Connection, acme: Acme) -> Connection:
    """What a task read before another process refreshed the connection."""
    task = Connection.objects.get()
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    acme.tokens(access_token=NEW_ACCESS, refresh_token=NEW_REFRESH, scope="photos")
    Connection.objects.get().access_token()
    return task


def test_tokens_that_came_since_stay(read_before: Connection) -> None:
    before = Connection.objects.values().get()
    read_before.metadata["cursor"] = 7
    read_before.label = "Holidays"
    read_before.save()
    after = Connection.objects.values().get()
    assert (after["raw_access_token"], after["raw_refresh_token"]) == (NEW_ACCESS, NEW_REFRESH)
    assert after == before | {"metadata": {"cursor": 7}, "label": "Holidays"}


def test_end_of_a_connection_stays(connection: Connection) -> None:
    task = Connection.objects.get()
    Connection.objects.update(
        status="revoked", raw_access_token="", raw_refresh_token="", updated_at=timezone.now() + timedelta(seconds=1)
    )
    task.save()
    after = Connection.objects.get()
    assert (after.status, after.raw_access_token) == ("revoked", "")


def test_claim_of_a_refresh_under_way_stays(connection: Connection) -> None:
    task = Connection.objects.get()
    until = timezone.now() + timedelta(seconds=15)
    Connection.objects.update(refresh_claimed_until=until)
    task.save()
    assert Connection.objects.get().refresh_claimed_until == until


def test_connection_that_was_removed_does_not_come_back(connection: Connection) -> None:
    task = Connection.objects.get()
    Connection.objects.all().delete()
    with pytest.raises(DatabaseError):
        task.save()
    assert not Connection.objects.exists()


def test_tokens_that_the_project_sets_are_saved(connection: Connection) -> None:
    ours = Connection.objects.get()
    ours.raw_access_token, ours.status, ours.scope = "imported", "needs_reconnect", "other"
    ours.save()
    after = Connection.objects.get()
    assert (after.raw_access_token, after.raw_refresh_token) == ("imported", REFRESH_TOKEN)
    assert (after.status, after.scope) == ("needs_reconnect", "other")


def test_columns_that_were_not_read_are_not_written(connection: Connection, django_assert_num_queries: Any) -> None:
    ours = Connection.objects.defer("raw_access_token", "raw_refresh_token").get()
    Connection.objects.update(raw_access_token="theirs")
    ours.label = "Holidays"
    with django_assert_num_queries(4):
        ours.save()
    after = Connection.objects.get()
    assert (after.label, after.raw_access_token) == ("Holidays", "theirs")


def test_copy_is_a_row_of_its_own(connection: Connection) -> None:
    other = Connection.objects.get()
    other.pk, other.account_digest = None, None
    other.save()
    assert set(Connection.objects.values_list("raw_access_token", flat=True)) == {ACCESS_TOKEN}
    assert Connection.objects.count() == 2


def test_connecting_again_counts_over_a_refresh_that_was_stored_since_the_answer_came(
    read_before: Connection, signed_in: Any, acme: Acme
) -> None:
    refreshed_at = timezone.now()

    def answer(_: object) -> Any:
        nonlocal refreshed_at
        refreshed_at = timezone.now()
        Connection.objects.update(updated_at=refreshed_at, metadata={"kept": 1})
        return as_json(TOKENS)

    acme.answers[TOKEN_URL] = answer
    assert connect(signed_in).status_code == 302
    after = Connection.objects.get()
    assert after.updated_at > refreshed_at
    assert (after.raw_access_token, after.raw_refresh_token) == (ACCESS_TOKEN, REFRESH_TOKEN)
    assert after.metadata == {"kept": 1}
