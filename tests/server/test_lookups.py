"""What is found by what a program presents, and what is read along with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth.server.lookups import (
    FIRST_USE_NOTED_AFTER,
    USE_NOTED_EVERY,
    StoredSecret,
    find_asking_client,
    find_client,
)
from django_pkce_auth.server.models import Consent
from tests.four_steps import App, returned

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize("shown", [True, False])
def test_asking_client_is_read_with_what_this_user_allowed_it(
    app: App, alice: Any, django_user_model: Any, register: Callable[..., App], shown: bool
) -> None:
    bob = django_user_model.objects.create_user(username="bob")
    other = register(client_id="other").client
    for user, client, scope in ((bob, app.client, "write"), (alice, other, "profile")):
        Consent.objects.create(user=user, client=client, scope=scope, resource="https://api.example read")
    for user, scope in ((alice, ""), (bob, "write"), (None, "")):
        found = find_asking_client("photo-app", user=user, shown=shown)
        assert found is not None
        assert (found.client, found.remembered.scope) == (app.client, scope)
        assert found.remembered.resource == ("https://api.example read" if scope else "")
        assert found.redirect_uris == ("https://app.example/callback?kept=1",)
    Consent.objects.create(user=alice, client=app.client, scope="read")
    found = find_asking_client("photo-app", user=alice, shown=shown)
    assert found is not None
    assert found.remembered.scope == "read"


def test_consent_of_another_user_answers_for_nobody_else(app: App, signed_in: Browser, django_user_model: Any) -> None:
    bob = django_user_model.objects.create_user(username="bob")
    Consent.objects.create(user=bob, client=app.client, scope="read")
    assert signed_in.get(app.link()).status_code == 200
    assert returned(signed_in.get(app.link_with(prompt="none")))["error"] == "consent_required"


def test_use_of_a_secret_is_due_after_a_minute_at_first_and_after_an_hour_then() -> None:
    fresh = StoredSecret(b"", NOW, None, None)
    assert not fresh.use_is_due(NOW + FIRST_USE_NOTED_AFTER)
    assert fresh.use_is_due(NOW + FIRST_USE_NOTED_AFTER + MOMENT)
    used = StoredSecret(b"", NOW, None, NOW)
    assert not used.use_is_due(NOW + USE_NOTED_EVERY)
    assert used.use_is_due(NOW + USE_NOTED_EVERY + MOMENT)


def test_client_without_a_secret_is_found_without_one(public_app: App) -> None:
    for secrets in (True, False):
        known = find_client("phone-app", secrets=secrets)
        assert known is not None
        assert (known.client, known.secrets) == (public_app.client, ())
    assert find_client("nobody") is None
