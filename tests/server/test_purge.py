"""Removing what expired: by the command, and a little with each issuance."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt
from django_pkce_auth.management.commands import pkce_purge
from django_pkce_auth.protocol.grant_types import DEVICE_CODE
from django_pkce_auth.secrets import digest
from django_pkce_auth.server import purge
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.models import (
    AccessToken,
    AuthorizationCode,
    Consent,
    DeviceCode,
    RefreshToken,
    TokenFamily,
)
from tests.four_steps import App, approve
from tests.test_outages import database_raises, failure

AGO = timedelta(days=2)


def run(**options: Any) -> dict[str, Any]:
    out = io.StringIO()
    call_command("pkce_purge", json=True, stdout=out, **options)
    return json.loads(out.getvalue())


def expire(*models: Any) -> None:
    for model in models:
        model.objects.update(expires_at=timezone.now() - AGO)


def fill(app: App, user: Any, *, rows: int, expires_at: datetime) -> TokenFamily:
    family = TokenFamily.objects.create(client=app.client, user=user, scope="read")
    for model, more in ((AccessToken, {}), (RefreshToken, {"generation": 0})):
        model.objects.bulk_create(
            model(
                digest=digest(f"{model.__name__}-{family.pk}-{number}"),
                family=family,
                created_at=expires_at - AGO,
                expires_at=expires_at,
                **more,
            )
            for number in range(rows)
        )
    return family


def test_purge_removes_what_expired_and_the_family_with_the_last_of_it(app: App, tokens: dict[str, Any]) -> None:
    expire(AccessToken, RefreshToken, AuthorizationCode)
    answer = run()
    assert answer["done"] is True
    assert answer["removed"] == {
        "authorization codes": 1,
        "device codes": 0,
        "access tokens": 1,
        "refresh tokens": 1,
        "connect attempts": 0,
        "token families": 0,  # it went with its last row, before anybody looked for empty ones
    }
    assert not TokenFamily.objects.exists()
    assert Consent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [AccessToken, RefreshToken, TokenFamily])
def test_batch_that_gave_way_to_another_transaction_is_run_again(app: App, alice: Any, model: Any) -> None:
    fill(app, alice, rows=3, expires_at=timezone.now() - AGO)
    statement = f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}"  # noqa: S608  (is not run)
    with database_raises(failure(1213, "Deadlock found"), times=2, only=statement) as failed:
        assert run()["removed"]["access tokens"] == 3
    assert len(failed) == 2
    assert not model.objects.exists()


def test_purge_leaves_what_is_still_valid(
    app: App, tokens: dict[str, Any], opens: Callable[[str], bool], alice: Any
) -> None:
    fill(app, alice, rows=3, expires_at=timezone.now() - AGO)
    run()
    assert opens(tokens["access_token"])
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert TokenFamily.objects.count() == 1


def test_purge_keeps_a_superseded_refresh_token_so_that_reuse_is_still_detected(
    app: App, tokens: dict[str, Any], opens: Callable[[str], bool]
) -> None:
    renewed = app.refresh(tokens["refresh_token"]).json()
    later = app.refresh(renewed["refresh_token"]).json()
    expire(AccessToken)
    run()
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert app.refresh(later["refresh_token"]).status_code == 400
    assert TokenFamily.objects.get().revoked_reason == "reuse"


def test_purge_keeps_a_redeemed_code_for_a_day_so_that_replay_is_still_detected(
    app: App, code: str, tokens: dict[str, Any]
) -> None:
    AuthorizationCode.objects.update(expires_at=timezone.now() - timedelta(hours=23))
    run()
    assert app.redeem(code).status_code == 400
    assert TokenFamily.objects.get().revoked_reason == "replay"


def test_purge_removes_attempts(alice: Any) -> None:
    now = timezone.now()
    for number, ago in enumerate((timedelta(hours=2), timedelta(minutes=30), -timedelta(minutes=5))):
        ConnectAttempt.objects.create(
            state_digest=digest(f"s{number}"),
            browser_digest=digest(f"b{number}"),
            user=alice,
            provider="acme",
            created_at=now - ago,
            expires_at=now - ago,
        )
    assert run()["removed"]["connect attempts"] == 1
    assert ConnectAttempt.objects.count() == 2


def test_purge_leaves_consents_and_audit_log(app: App, tokens: dict[str, Any]) -> None:
    AuditEntry.objects.create(event="tokens_issued", at=timezone.now() - timedelta(days=4000))
    Consent.objects.update(created_at=timezone.now() - timedelta(days=4000))
    expire(AccessToken, RefreshToken, AuthorizationCode)
    run()
    assert AuditEntry.objects.count() == 1
    assert Consent.objects.count() == 1


def test_purge_finds_families_that_were_left_empty(app: App, alice: Any, tokens: dict[str, Any]) -> None:
    for _ in range(5):
        TokenFamily.objects.create(client=app.client, user=alice, scope="read")
    assert run(batch=2)["removed"]["token families"] == 5
    assert TokenFamily.objects.count() == 1


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_purge_finds_empty_families_between_gaps(
    app: App, alice: Any, tokens: dict[str, Any], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look covers so many keys, however few there are among them."""
    monkeypatch.setattr(purge, "KEYS", 5)
    kept = TokenFamily.objects.get()
    for key in (1000, 1001, 1002, 1004, 1005, 1006, 1031):
        TokenFamily.objects.create(pk=key, client=app.client, user=alice, scope="read")
    assert run(batch=batch)["removed"]["token families"] == 7
    assert list(TokenFamily.objects.all()) == [kept]


def test_purge_of_no_families_at_all(db: None) -> None:
    assert run()["removed"]["token families"] == 0


def test_purge_works_in_batches_and_costs_the_same_each_whatever_waits(app: App, alice: Any) -> None:
    fill(app, alice, rows=50, expires_at=timezone.now() - AGO)
    table = next(table for table in purge.TABLES if table.model is AccessToken)
    costs = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            assert table.purge(limit=10, now=timezone.now()) == 10
        costs.append(len(captured))
        assert not any("COUNT(" in query["sql"].upper() for query in captured)
    assert costs == costs[:1] * 3
    assert AccessToken.objects.count() == 20
    assert run(batch=7)["removed"]["access tokens"] == 20


def test_purge_finds_expired_rows_by_the_index(db: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("a server's planner reads an empty table as it likes")
    for table in pkce_purge.TABLES:
        rows = table._expired(timezone.now(), "default").order_by("expires_at").values_list("pk")[:10]
        assert "USING INDEX" in rows.explain() or "USING COVERING INDEX" in rows.explain()


def test_purge_stops_when_time_is_up_and_goes_on_at_the_next_run(
    app: App, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, alice, rows=20, expires_at=timezone.now() - AGO)
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr(pkce_purge, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    first = run(batch=2, max_seconds=12)
    assert first["done"] is False
    assert 0 < first["removed"]["access tokens"] < 20
    assert 0 < first["removed"]["refresh tokens"] < 20, "no table waits for another to be done"
    monkeypatch.undo()
    assert run()["done"] is True
    assert not TokenFamily.objects.exists()


@pytest.mark.parametrize("arguments", [("--batch", "0"), ("--batch", "x"), ("--max-seconds", "-1")])
def test_purge_refuses_numbers_that_are_none(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="no whole number above 0"):
        call_command("pkce_purge", *arguments)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_purge_prints_what_it_removed_and_shows_a_bar_to_a_person(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = Terminal()
    call_command("pkce_purge", stdout=out, no_color=True)
    assert "access tokens                     0 removed" in out.getvalue()


def test_purge_prints_lines_where_rich_is_not_installed(app: App, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(app, alice, rows=2, expires_at=timezone.now() - AGO)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(pkce_purge, "SECONDS_BETWEEN_LINES", 0)
    out = Terminal()
    call_command("pkce_purge", stdout=out, no_color=True)
    assert "access tokens: 2 removed" in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_issuance_removes_a_little_of_what_expired(
    app: App, signed_in: Browser, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, alice, rows=30, expires_at=timezone.now() - AGO)
    monkeypatch.setattr(purge, "ONE_IN", 1)
    monkeypatch.setattr(purge, "ROWS", 20)
    code = approve(signed_in, app.link())["code"]
    assert app.redeem(code).status_code == 200
    assert AccessToken.objects.filter(expires_at__lte=timezone.now()).count() == 10
    assert RefreshToken.objects.filter(expires_at__lte=timezone.now()).count() == 10


@pytest.mark.django_db(transaction=True)
def test_devices_that_only_ever_begin_leave_no_heap(
    register: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A screen that nobody signs in at asks for a new code every ten minutes, and anybody can; tokens are rarer."""
    tv = register(client_id="tv", public=True, uris=(), grant_types=DEVICE_CODE)
    begun = [tv.post("/oauth/device_authorization", scope="read").status_code for _ in range(4)]
    expire(DeviceCode)
    monkeypatch.setattr(purge, "ONE_IN", 1)
    monkeypatch.setattr(purge, "ROWS", 3)
    assert [*begun, tv.post("/oauth/device_authorization", scope="read").status_code] == [200] * 5
    assert DeviceCode.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_issuance_succeeds_where_the_purge_fails(
    app: App, code: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> int:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(purge, "ONE_IN", 1)
    monkeypatch.setattr(type(purge.TABLES[0]), "purge", broken)
    with caplog.at_level(logging.ERROR):
        assert app.redeem(code).status_code == 200
    assert "disk on fire" in caplog.text


def test_issuance_purges_about_once_in_so_many(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "ONE_IN", 50)
    calls: list[Any] = []
    monkeypatch.setattr(purge.transaction, "on_commit", lambda *args, **kwargs: calls.append(args))
    for number in range(2000):
        purge.purge_sometimes(digest(str(number)), now=timezone.now(), using="default")
    assert 15 < len(calls) < 80
