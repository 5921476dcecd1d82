"""grant_type=refresh_token (RFC 6749 §6, RFC 9700 §4.14, OAuth 2.1 §4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server.grants.refresh_token import RETRIES
from django_pkce_auth.server.models import RefreshToken, TokenFamily
from tests.four_steps import App, approve
from tests.server.test_token_request import refused


@pytest.fixture(params=["confidential", "public"])
def either(request: pytest.FixtureRequest, app: App, public_app: App) -> App:
    return app if request.param == "confidential" else public_app


@pytest.fixture
def given(either: App, signed_in: Browser) -> dict[str, Any]:
    return dict(either.redeem(approve(signed_in, either.link(scopes=("read", "write")))["code"]).json())


@pytest.fixture
def steady(register: Callable[..., App]) -> App:
    """A confidential client that keeps its refresh token, as FAPI 2.0 asks."""
    return register(client_id="bank", rotates_refresh_tokens=False)


def test_refresh_rotates_and_keeps_the_old_access_token(either: App, given: dict[str, Any], opens: Any) -> None:
    renewed = either.refresh(given["refresh_token"]).json()
    assert renewed["refresh_token"] != given["refresh_token"]
    assert opens(renewed["access_token"])
    assert opens(given["access_token"])
    assert either.refresh(renewed["refresh_token"]).status_code == 200


@pytest.mark.parametrize("scope", ["read", "write", "write write"])
def test_scope_can_be_narrowed_for_one_access_token(either: App, given: dict[str, Any], scope: str) -> None:
    narrowed = either.refresh(given["refresh_token"], scope=scope).json()
    assert narrowed["scope"] == scope.split()[0]
    again = either.refresh(narrowed["refresh_token"]).json()
    assert again["scope"] == "read write"


def test_scope_that_was_narrowed_away_does_not_open_the_api(either: App, given: dict[str, Any]) -> None:
    token = either.refresh(given["refresh_token"], scope="write").json()["access_token"]
    response = Browser().get("/api/read", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403


@pytest.mark.parametrize("scope", ["read write profile", "profile", "admin", '"', "READ"])
def test_scope_cannot_be_widened_and_the_token_is_not_burnt(either: App, given: dict[str, Any], scope: str) -> None:
    refused(either.refresh(given["refresh_token"], scope=scope), "invalid_scope")
    assert either.refresh(given["refresh_token"]).status_code == 200


def test_token_missing_or_unknown_is_refused(app: App) -> None:
    refused(app.post(grant_type="refresh_token"), "invalid_request", "refresh_token is missing")
    refused(app.refresh("pkce_rt_" + "x" * 43), "invalid_grant")


@pytest.mark.parametrize("public", [False, True])
def test_token_of_another_client_is_refused_and_neither_burnt_nor_revoked_rfc6749_6(
    either: App, given: dict[str, Any], register: Callable[..., App], public: bool
) -> None:
    stranger = register(client_id="stranger", public=public)
    refused(stranger.refresh(given["refresh_token"]), "invalid_grant")
    renewed = either.refresh(given["refresh_token"]).json()
    refused(stranger.refresh(given["refresh_token"]), "invalid_grant")
    assert either.refresh(renewed["refresh_token"]).status_code == 200


def test_confidential_client_without_its_secret_is_refused(app: App, tokens: dict[str, Any]) -> None:
    secret, app.secret = app.secret, None
    refused(app.refresh(tokens["refresh_token"]), "invalid_client", status=401)
    app.secret = secret
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_client_disabled_is_refused(either: App, given: dict[str, Any]) -> None:
    either.client.disabled_at = timezone.now()
    either.client.save()
    refused(either.refresh(given["refresh_token"]), "invalid_client", status=401)


def test_client_without_the_grant_type_is_unauthorized(either: App, given: dict[str, Any]) -> None:
    either.client.grant_types = "authorization_code"
    either.client.save()
    refused(either.refresh(given["refresh_token"]), "unauthorized_client", "refresh_token")


def test_user_deactivated_is_refused_until_active_again(either: App, given: dict[str, Any], alice: Any) -> None:
    alice.is_active = False
    alice.save()
    refused(either.refresh(given["refresh_token"]), "invalid_grant")
    alice.is_active = True
    alice.save()
    assert either.refresh(given["refresh_token"]).status_code == 200


def test_token_idle_for_too_long_has_expired(either: App, given: dict[str, Any], later: Callable[..., None]) -> None:
    later(days=30, seconds=1)
    refused(either.refresh(given["refresh_token"]), "invalid_grant", "expired")


def test_token_in_use_lives_on(either: App, given: dict[str, Any], later: Callable[..., None]) -> None:
    for _ in range(4):
        later(days=29)
        given = either.refresh(given["refresh_token"]).json()


class TestRetry:
    """A client whose answer was lost sends the token once more; a thief does so later, or after the client went on."""

    def test_within_the_window_gives_a_sibling(
        self, either: App, given: dict[str, Any], opens: Any, later: Any
    ) -> None:
        lost = either.refresh(given["refresh_token"]).json()
        later(seconds=20)
        again = either.refresh(given["refresh_token"]).json()
        assert again["refresh_token"] != lost["refresh_token"]
        assert opens(lost["access_token"])
        assert opens(again["access_token"])
        assert either.refresh(again["refresh_token"]).status_code == 200

    def test_more_often_than_the_cap_revokes(self, either: App, given: dict[str, Any], opens: Any, later: Any) -> None:
        for _ in range(1 + RETRIES):
            last = either.refresh(given["refresh_token"]).json()
        later(seconds=10)
        refused(either.refresh(given["refresh_token"]), "invalid_grant", "superseded")
        assert not opens(last["access_token"])
        refused(either.refresh(last["refresh_token"]), "invalid_grant", "revoked")
        assert RefreshToken.objects.count() == 2 + RETRIES

    def test_more_often_at_the_same_moment_is_refused_only(self, either: App, given: dict[str, Any]) -> None:
        for _ in range(1 + RETRIES):
            last = either.refresh(given["refresh_token"]).json()
        refused(either.refresh(given["refresh_token"]), "invalid_grant", "superseded")
        assert either.refresh(last["refresh_token"]).status_code == 200

    def test_after_the_window_revokes(self, either: App, given: dict[str, Any], opens: Any, later: Any) -> None:
        renewed = either.refresh(given["refresh_token"]).json()
        later(seconds=31)
        refused(either.refresh(given["refresh_token"]), "invalid_grant")
        assert not opens(renewed["access_token"])
        refused(either.refresh(renewed["refresh_token"]), "invalid_grant", "revoked")
        assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.REUSE

    def test_after_the_successor_was_used_revokes(self, either: App, given: dict[str, Any], opens: Any) -> None:
        second = either.refresh(given["refresh_token"]).json()
        third = either.refresh(second["refresh_token"]).json()
        refused(either.refresh(given["refresh_token"]), "invalid_grant")
        assert not opens(third["access_token"])
        refused(either.refresh(third["refresh_token"]), "invalid_grant", "revoked")

    def test_with_a_wider_scope_revokes_nothing(self, either: App, given: dict[str, Any], later: Any) -> None:
        renewed = either.refresh(given["refresh_token"]).json()
        later(seconds=31)
        refused(either.refresh(given["refresh_token"], scope="profile"), "invalid_scope")
        assert either.refresh(renewed["refresh_token"]).status_code == 200

    def test_of_a_revoked_family_gives_nothing(self, either: App, given: dict[str, Any]) -> None:
        either.refresh(given["refresh_token"])
        TokenFamily.objects.update(revoked_at=timezone.now(), revoked_reason=TokenFamily.Reason.USER)
        refused(either.refresh(given["refresh_token"]), "invalid_grant")
        assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.USER


class TestWithoutRotation:
    def test_same_token_works_again_and_again(self, steady: App, signed_in: Browser, opens: Any, later: Any) -> None:
        tokens = steady.redeem(approve(signed_in, steady.link())["code"]).json()
        for _ in range(3):
            renewed = steady.refresh(tokens["refresh_token"])
            assert renewed.status_code == 200
            assert "refresh_token" not in renewed.json()
            assert opens(renewed.json()["access_token"])
            later(hours=1)
        assert RefreshToken.objects.count() == 1

    def test_setting_is_for_confidential_clients_only(self, public_app: App, signed_in: Browser) -> None:
        public_app.client.rotates_refresh_tokens = False
        public_app.client.save()
        tokens = public_app.redeem(approve(signed_in, public_app.link())["code"]).json()
        assert public_app.refresh(tokens["refresh_token"]).json()["refresh_token"] != tokens["refresh_token"]

    def test_token_superseded_before_the_setting_changed_stays_so(
        self, app: App, tokens: dict[str, Any], later: Any
    ) -> None:
        renewed = app.refresh(tokens["refresh_token"]).json()
        app.client.rotates_refresh_tokens = False
        app.client.save()
        assert app.refresh(renewed["refresh_token"]).status_code == 200
        later(seconds=31)
        refused(app.refresh(tokens["refresh_token"]), "invalid_grant", "superseded")
        refused(app.refresh(renewed["refresh_token"]), "invalid_grant", "revoked")
