from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tests.four_steps import bearer


@pytest.fixture
def later() -> Iterator[Callable[..., None]]:
    """Let time pass: ``later(seconds=61)``, and none by itself, for everything that asks Django for the time."""
    clock = [timezone.now()]

    def now() -> datetime:
        return clock[0]

    def move(**amount: float) -> None:
        clock[0] += timedelta(**amount)

    with patch("django.utils.timezone.now", now):
        yield move


@pytest.fixture
def opens(db: None) -> Callable[[str], bool]:
    """True where an access token opens the API."""

    def try_it(access_token: str) -> bool:
        response: Any = Browser().get("/api/read", headers=bearer(access_token))
        assert response.status_code in (200, 401), response.content
        return bool(response.status_code == 200)

    return try_it
