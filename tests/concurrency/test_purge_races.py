"""Purges at the same moment, beside clients that go on: none fails, and nothing that lives is touched."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.secrets import digest
from django_pkce_auth.server.models import AccessToken, RefreshToken, TokenFamily
from tests.concurrency.race import at_once
from tests.four_steps import App, approve, bearer

BATCH = 40


@pytest.mark.parametrize(
    ("sessions", "moments", "purges"),
    [(600, 300, 4), pytest.param(3000, 20, 8, id="more than a batch at each moment: MariaDB makes some give way")],
)
def test_purges_at_once_beside_refreshes(
    app: App, signed_in: Browser, alice: Any, sessions: int, moments: int, purges: int
) -> None:
    given = [app.redeem(approve(signed_in, app.link())["code"]).json() for _ in range(6)]
    now = timezone.now()
    families = [TokenFamily(client=app.client, user=alice, scope="read") for _ in range(sessions)]
    for family in families:
        family.save()
    for model, more in ((AccessToken, {}), (RefreshToken, {"generation": 0})):
        model.objects.bulk_create(
            model(
                digest=digest(f"{model.__name__} {number}"),
                family=family,
                created_at=now - timedelta(days=50),
                # Out of step with the families, and some of them at one moment.
                expires_at=now - timedelta(days=2, seconds=number * 7919 % moments),
                **more,
            )
            for number, family in enumerate(families)
        )

    def purge() -> Any:
        call_command("pkce_purge", batch=BATCH, json=True, stdout=io.StringIO())

    refreshes = [lambda tokens=tokens: app.refresh(tokens["refresh_token"]).json() for tokens in given]
    *_, first, second, third, fourth, fifth, sixth = at_once(*[purge] * purges, *refreshes)
    for answer in (first, second, third, fourth, fifth, sixth):
        assert Browser().get("/api/read", headers=bearer(answer["access_token"])).status_code == 200
    purge()
    assert TokenFamily.objects.count() == len(given)
    assert RefreshToken.objects.count() == AccessToken.objects.count() == 2 * len(given)
