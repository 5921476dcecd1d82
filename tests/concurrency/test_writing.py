"""What is written together waits for the rows that it changes, and looks at them again when it has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_pkce_auth.compiled import Insert, Update
from django_pkce_auth.server.models import AccessToken, DeviceCode, TokenFamily
from django_pkce_auth.statement import Slot
from django_pkce_auth.writing import KEY, write
from tests.concurrency.race import at_once
from tests.four_steps import App

FAMILY, ACCESS_TOKEN = Insert(TokenFamily), Insert(AccessToken)


def unclaimed() -> Any:
    return DeviceCode.objects.filter(digest=Slot(DeviceCode, "digest"), family=None)


CLAIM = Update(unclaimed, family=Slot(DeviceCode, "family"))
POLL = Update(unclaimed, interval=Slot(DeviceCode, "interval"))


@pytest.fixture
def code(app: App) -> DeviceCode:
    now = timezone.now()
    return DeviceCode.objects.create(
        digest=b"d" * 32, user_code_digest=b"u" * 32, client=app.client, created_at=now, expires_at=now, interval=5
    )


def while_it_is_held(code: DeviceCode, write_it: Callable[[], Any], **changed: Any) -> Any:
    """Return what ``write_it`` returns, begun while another transaction has changed the row and has yet to commit."""
    held = Event()

    def hold() -> None:
        with transaction.atomic():
            DeviceCode.objects.filter(pk=code.pk).update(**changed)
            held.set()
            time.sleep(0.3)

    def then_write() -> Any:
        assert held.wait(30)
        return write_it()

    _, written = at_once(hold, then_write)
    code.refresh_from_db()
    return written


def rows(code: DeviceCode) -> tuple[Any, Any]:
    """The family and the token of an issuance."""
    moment = {"created_at": code.created_at}
    return (
        (FAMILY, {"client_id": code.client_id, "scope": "read", **moment}),
        (ACCESS_TOKEN, {"digest": b"a" * 32, "family_id": KEY, "expires_at": code.expires_at, **moment}),
    )


@pytest.mark.parametrize("claim", [(CLAIM, {"family": KEY}), (POLL, {"interval": 7})], ids=["with the key", "without"])
class TestRowThatIsHeld:
    def test_claimed_meanwhile_leaves_nothing(self, code: DeviceCode, claim: tuple[Update, Any]) -> None:
        family, token = rows(code)
        other = TokenFamily.objects.create(client=code.client, scope="read")
        update, values = claim
        claimed = (update, {"digest": code.digest, **values})
        written = while_it_is_held(code, lambda: write("default", family, claimed, token), family=other)
        assert written == (False, None)
        assert (code.family, code.interval) == (other, 5)
        assert TokenFamily.objects.get() == other
        assert not AccessToken.objects.exists()

    def test_changed_meanwhile_is_written_as_it_is_by_now(self, code: DeviceCode, claim: tuple[Update, Any]) -> None:
        family, token = rows(code)
        update, values = claim
        claimed = (update, {"digest": code.digest, **values})
        written, key = while_it_is_held(
            code, lambda: write("default", family, claimed, token), scope="changed", interval=6
        )
        made = TokenFamily.objects.get()
        assert (written, key) == (True, made.pk)
        assert AccessToken.objects.get().family == made
        assert code.scope == "changed"
        assert (code.family, code.interval) == ((made, 6) if update is CLAIM else (None, 7))
