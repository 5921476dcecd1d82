"""Times: what ends does so at the instant that was said, whatever the time zone and whatever its clocks do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server.models import AccessToken, AuthorizationCode, ClientSecret, RefreshToken, TokenFamily
from tests.client.acme import begin, come_back
from tests.four_steps import App, approve, bearer

MOMENT = timedelta(microseconds=1)
# The hour that came twice in Berlin, and the one that never was in New York.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 6, 30, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock of this process."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: moment)

    return set_to


def opens(access_token: str) -> bool:
    return bool(Browser().get("/api/read", headers=bearer(access_token)).status_code == 200)


def test_access_token_ends_at_its_instant(app: App, tokens: dict[str, Any], clock: Callable[[datetime], None]) -> None:
    end = AccessToken.objects.get().expires_at
    for moment, works in ((end - MOMENT, True), (end, False), (end - MOMENT, True), (end + MOMENT, False)):
        clock(moment)
        assert opens(tokens["access_token"]) is works
        assert app.post("/oauth/introspect", token=tokens["access_token"]).json()["active"] is works


def test_family_ends_at_its_instant_whatever_its_tokens_say(
    app: App, tokens: dict[str, Any], clock: Callable[[datetime], None]
) -> None:
    end = timezone.now() + timedelta(minutes=5)
    TokenFamily.objects.update(expires_at=end)
    clock(end - MOMENT)
    renewed = app.refresh(tokens["refresh_token"])
    assert renewed.status_code == 200
    assert renewed.json()["expires_in"] == 0
    assert opens(renewed.json()["access_token"])
    clock(end)
    assert not opens(renewed.json()["access_token"])
    assert app.refresh(renewed.json()["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("late", "status"), [(-MOMENT, 200), (timedelta(), 400)])
def test_code_ends_at_its_instant(
    late: timedelta, status: int, app: App, code: str, clock: Callable[[datetime], None]
) -> None:
    clock(AuthorizationCode.objects.get().expires_at + late)
    assert app.redeem(code).status_code == status


@pytest.mark.parametrize(("late", "status"), [(-MOMENT, 200), (timedelta(), 400)])
def test_refresh_token_ends_at_its_instant(
    late: timedelta, status: int, app: App, tokens: dict[str, Any], clock: Callable[[datetime], None]
) -> None:
    clock(RefreshToken.objects.get().expires_at + late)
    assert app.refresh(tokens["refresh_token"]).status_code == status


def test_secret_ends_at_its_instant(app: App, clock: Callable[[datetime], None]) -> None:
    end = timezone.now() + timedelta(days=1)
    ClientSecret.objects.update(expires_at=end)
    for moment, status in ((end - MOMENT, 200), (end, 401)):
        clock(moment)
        assert app.post("/oauth/introspect", token="x").status_code == status


@pytest.mark.parametrize(("late", "goes_on"), [(-MOMENT, True), (timedelta(), False)])
def test_attempt_ends_at_its_instant(
    late: timedelta, goes_on: bool, signed_in: Browser, clock: Callable[[datetime], None], settings: Any
) -> None:
    from django_pkce_auth.client.models import ConnectAttempt
    from tests.client.acme import CODE, Acme, InProcessPolicy

    settings.PKCE_AUTH = settings.PKCE_AUTH | {"CLIENT_POLICY": "tests.client.acme.InProcessPolicy"}
    InProcessPolicy.current = acme = Acme()
    acme.tokens()
    acme.account()
    state = begin(signed_in)["state"]
    clock(ConnectAttempt.objects.get().expires_at + late)
    answer = come_back(signed_in, code=CODE, state=state)
    assert answer.status_code == (302 if goes_on else 400)


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=[zone for zone, _ in CHANGES])
def test_lifetimes_are_as_long_across_a_change_of_the_clocks(
    zone: str, change: datetime, app: App, signed_in: Browser, settings: Any, clock: Callable[[datetime], None]
) -> None:
    settings.TIME_ZONE = zone
    with timezone.override(zone):
        clock(change)
        tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
        assert tokens["expires_in"] == 3600
        for minutes, works in ((0, True), (31, True), (59, True), (60, False), (61, False), (120, False)):
            clock(change + timedelta(minutes=minutes))
            assert opens(tokens["access_token"]) is works
        said = app.post("/oauth/introspect", token=tokens["refresh_token"]).json()
        assert (said["iat"], said["active"]) == (int(change.timestamp()), True)
        assert app.refresh(tokens["refresh_token"]).status_code == 200
