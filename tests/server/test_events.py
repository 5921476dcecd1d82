"""What happened is told by signal, log and audit table: all of it, in order, after the commit, and never a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import signals
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.events import EVENTS
from django_pkce_auth.server.models import RefreshToken
from tests.four_steps import App, approve


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The signals that were sent, each with what it told."""
    told: list[tuple[str, dict[str, Any]]] = []
    receivers = []
    for name in EVENTS:

        def receive(name: str = name, **facts: Any) -> None:
            told.append((name, {key: value for key, value in facts.items() if key not in ("signal", "sender")}))

        getattr(signals, name).connect(receive)
        receivers.append((name, receive))
    yield told
    for name, receive in receivers:
        getattr(signals, name).disconnect(receive)


@pytest.fixture
def audited(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}


def walk(app: App, browser: Browser) -> list[str]:
    """Every event once; return all secrets that were issued on the way."""
    code = approve(browser, app.link())["code"]
    tokens = app.redeem(code).json()
    renewed = app.refresh(tokens["refresh_token"]).json()
    again = app.refresh(renewed["refresh_token"]).json()
    RefreshToken.objects.exclude(superseded_at=None).update(superseded_at="2026-01-01T00:00:00Z")
    app.refresh(tokens["refresh_token"])
    App(app.client, "wrong-secret-0123456789abcdef0123456789").redeem("x" * 40)
    withdraw(user=app.client.consents.get().user, client=app.client, now=timezone.now())
    names = ("access_token", "refresh_token")
    return [code, str(app.secret), *(answer[name] for answer in (tokens, renewed, again) for name in names)]


EXPECTED = [
    "consent_given",
    "code_issued",
    "tokens_issued",
    "tokens_refreshed",
    "tokens_refreshed",
    "family_revoked",
    "reuse_detected",
    "client_authentication_failed",
    "consent_withdrawn",
]


def test_every_event_is_a_signal_with_its_facts(
    app: App, signed_in: Browser, alice: Any, heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        walk(app, signed_in)
    # Refusals are told at once, the rest in its order after the commit.
    assert sorted(name for name, _ in heard) == sorted(EXPECTED)
    assert [name for name, _ in heard if name != "client_authentication_failed"] == [
        name for name in EXPECTED if name != "client_authentication_failed"
    ]
    told = dict(heard)
    assert told["tokens_issued"]["user"] == alice
    assert told["tokens_issued"]["client"] == app.client
    assert told["tokens_issued"]["grant_type"] == "authorization_code"
    assert told["family_revoked"]["reason"] == "reuse"
    assert told["reuse_detected"]["what"] == "refresh_token"
    assert told["client_authentication_failed"]["client_id"] == "photo-app"


def test_nothing_is_told_of_what_was_rolled_back(
    app: App, signed_in: Browser, alice: Any, heard: list[Any], audited: None, django_capture_on_commit_callbacks: Any
) -> None:
    approve(signed_in, app.link())
    AuditEntry.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        withdraw(user=alice, client=app.client, now=timezone.now())
        transaction.set_rollback(True)
    assert "consent_withdrawn" not in [name for name, _ in heard]
    assert not AuditEntry.objects.exists()


def test_log_and_audit_table_have_every_event_and_no_secret(
    app: App,
    signed_in: Browser,
    audited: None,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    with django_capture_on_commit_callbacks(execute=True):
        secrets = walk(app, signed_in)
    logged = [record.__dict__["event"] for record in caplog.records if "oauth" in record.__dict__]
    assert sorted(logged) == sorted(EXPECTED)
    assert sorted(AuditEntry.objects.values_list("event", flat=True)) == sorted(EXPECTED)
    written = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    written += "\n".join(str(row) for row in AuditEntry.objects.values())
    assert [secret for secret in secrets if secret in written] == []


def test_audit_table_is_off_unless_asked_for(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link())
    assert not AuditEntry.objects.exists()


def test_receiver_that_fails_harms_nobody(
    app: App, signed_in: Browser, django_capture_on_commit_callbacks: Any
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("a receiver of the project")

    signals.code_issued.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert approve(signed_in, app.link())["code"]
    finally:
        signals.code_issued.disconnect(fail)
