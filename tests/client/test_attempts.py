"""An attempt ends once, for who began it; the log has the reason where it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from django_pkce_auth.client import attempts
from django_pkce_auth.client.attempts import LIFETIME, AttemptRefused, complete, create, take
from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.client.providers import get_provider
from django_pkce_auth.conf import settings
from tests.client.acme import Acme

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
END = NOW + LIFETIME
BROWSER = "b" * 43


def begun(acme: Acme, user: Any, connection: Connection | None = None) -> str:
    return create(
        get_provider("acme", settings=settings(), transport=acme),
        browser=BROWSER,
        user=user,
        purpose="connect",
        redirect_uri="https://app.example/connect/acme/callback",
        next_url="/",
        scope="read",
        now=NOW,
        connection=connection,
    ).state


def ended(state: str | None, user: Any, **other: Any) -> ConnectAttempt:
    facts: dict[str, Any] = {"browser": BROWSER, "provider": "acme", "now": NOW} | other
    return take(state=state, user=user, **facts)


def test_attempt_ends_once_and_keeps_no_verifier(acme: Acme, alice: Any) -> None:
    state = begun(acme, alice)
    attempt = ended(state, alice)
    assert attempt.code_verifier
    row = ConnectAttempt.objects.get()
    assert (row.taken_at, row.code_verifier) == (NOW, None)
    with pytest.raises(AttemptRefused, match=r"^the attempt was used before$") as refused:
        ended(state, alice)
    assert refused.value.completed is None
    complete(attempt, now=NOW)
    with pytest.raises(AttemptRefused, match=r"^the attempt was used before, and ended well$") as well:
        ended(state, alice)
    assert well.value.completed == attempt


def test_attempt_remembers_the_connection_that_it_is_for(acme: Acme, connection: Connection) -> None:
    begun(acme, connection.user, connection)
    assert ConnectAttempt.objects.latest("pk").connection == connection


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": None}, "the answer has no state"),
        ({"state": "unknown"}, "no attempt has this state"),
        ({"provider": "other"}, "no attempt has this state"),
        ({"browser": None}, "the browser sent no attempt cookie"),
        ({"browser": "c" * 43}, "the attempt was begun in another browser"),
        ({"user": None}, "the attempt was begun by another user"),
        ({"now": END}, "the attempt has expired"),
    ],
)
def test_refusal_says_why_and_leaves_the_attempt(acme: Acme, alice: Any, change: dict[str, Any], reason: str) -> None:
    state = begun(acme, alice)
    facts = {"state": state, "user": alice} | change
    with pytest.raises(AttemptRefused) as refused:
        ended(**facts)
    assert str(refused.value) == reason
    assert refused.value.completed is None
    assert ended(state, alice, now=END - timedelta(microseconds=1)).provider == "acme"


@pytest.mark.parametrize("well", [True, False])
def test_attempt_that_another_request_took_since_it_was_read_says_how_it_ended(
    acme: Acme, alice: Any, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = begun(acme, alice)
    read = ConnectAttempt.objects.get()
    taken = ended(state, alice)
    if well:
        complete(taken, now=NOW)
    monkeypatch.setattr(attempts, "_find", lambda *_: read)
    with pytest.raises(AttemptRefused, match=r"^the attempt was used before$") as refused:
        ended(state, alice)
    assert refused.value.completed == (read if well else None)
    assert read.code_verifier  # read again is only how it ended


def test_attempt_is_read_together_with_its_user(acme: Acme, alice: Any, django_assert_num_queries: Any) -> None:
    state = begun(acme, alice)
    with django_assert_num_queries(2):
        assert ended(state, alice).user.username == "alice"


@pytest.mark.django_db(transaction=True)
def test_expired_attempts_are_removed_after_the_commit_of_who_begins_one(acme: Acme, django_user_model: Any) -> None:
    """Their rows would be locked to the end of a project's transaction, and others who begin one would wait for it."""
    alice = django_user_model.objects.create_user(username="alice")
    begun(acme, alice)
    ConnectAttempt.objects.update(expires_at=NOW - 2 * LIFETIME)
    with transaction.atomic():
        begun(acme, alice)
        assert ConnectAttempt.objects.count() == 2
    assert ConnectAttempt.objects.get().expires_at == END


@pytest.mark.django_db(transaction=True)
def test_attempt_is_begun_though_expired_ones_can_not_be_removed(
    acme: Acme, django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete(_: Any) -> None:
        raise DatabaseError("deadlock detected")

    alice = django_user_model.objects.create_user(username="alice")
    begun(acme, alice)
    ConnectAttempt.objects.update(expires_at=NOW - 2 * LIFETIME)
    monkeypatch.setattr(QuerySet, "delete", delete)
    begun(acme, alice)
    assert ConnectAttempt.objects.filter(expires_at=END).count() == 1
