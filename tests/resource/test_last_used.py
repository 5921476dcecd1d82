"""When access was last used: on the family, at most once in five minutes, and in nobody's way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.server.models import TokenFamily
from tests.four_steps import bearer


def use(tokens: dict[str, Any]) -> None:
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 200


def writes(tokens: dict[str, Any], times: int) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(times):
            use(tokens)
    return sum(query["sql"].startswith("UPDATE") for query in queries)


def test_hundred_calls_are_one_write_at_most(tokens: dict[str, Any], django_capture_on_commit_callbacks: Any) -> None:
    assert TokenFamily.objects.get().last_used_at is not None
    with django_capture_on_commit_callbacks(execute=True):
        assert writes(tokens, 100) == 0
    TokenFamily.objects.update(last_used_at=timezone.now() - timedelta(minutes=6))
    with django_capture_on_commit_callbacks(execute=True) as noted:
        use(tokens)
    assert len(noted) == 1
    with django_capture_on_commit_callbacks(execute=True) as noted:
        writes(tokens, 10)
    assert noted == []
    last = TokenFamily.objects.get().last_used_at
    assert last is not None
    assert last > timezone.now() - timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_note_is_made_after_the_views_transaction(tokens: dict[str, Any]) -> None:
    TokenFamily.objects.update(last_used_at=None)
    with transaction.atomic():
        use(tokens)
        assert TokenFamily.objects.get().last_used_at is None
    assert TokenFamily.objects.get().last_used_at is not None
