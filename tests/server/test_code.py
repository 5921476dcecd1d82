"""grant_type=authorization_code (RFC 6749 §4.1.3, §10.5; RFC 7636 §4.6; OAuth 2.1 §4.1.3, §7.5.3, §10.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf, signals
from django_pkce_auth.server.grants import authorization_code
from django_pkce_auth.server.issue import redeem
from django_pkce_auth.server.lookups import find_code
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, RefreshToken, TokenFamily
from tests.four_steps import REDIRECT_URI, VERIFIER, App, approve
from tests.server.test_token_request import refused

OTHER_VERIFIER = "x" * 43


def test_code_gives_what_was_approved(app: App, signed_in: Browser, opens: Any) -> None:
    tokens = app.redeem(approve(signed_in, app.link(scopes=("read", "profile")))["code"]).json()
    assert tokens["scope"] == "read profile"
    assert tokens["access_token"].startswith("pkce_at_")
    assert tokens["refresh_token"].startswith("pkce_rt_")
    assert opens(tokens["access_token"])


def test_code_needs_no_redirect_uri_oauth21_10_2(app: App, code: str) -> None:
    response = app.post(grant_type="authorization_code", code=code, code_verifier=VERIFIER)
    assert response.status_code == 200


def test_redirect_uri_that_is_another_is_said(app: App, code: str) -> None:
    assert app.redeem(code, redirect_uri="https://evil.example/").json() == {
        "error": "invalid_grant",
        "error_description": "redirect_uri is not the one of the authorization request; send the same string again.",
    }


def test_code_that_another_request_claimed_since_it_was_read_gives_nothing(app: App, code: str) -> None:
    read, _ = find_code(code, secrets=False)
    assert read is not None
    assert app.redeem(code).status_code == 200
    given: Any = {
        "resources": (),
        "settings": conf.settings(),
        "now": timezone.now(),
        "using": "default",
    }
    assert redeem(read, app.client, claim=authorization_code._CLAIM, grant_type="authorization_code", **given) is None
    assert (TokenFamily.objects.count(), AccessToken.objects.count(), RefreshToken.objects.count()) == (1, 1, 1)
    assert RefreshToken.objects.get().generation == 0


WRONG = {
    "wrong verifier": {"code_verifier": OTHER_VERIFIER},
    "redirect URI of another link": {"redirect_uri": "https://evil.example/"},
    "redirect URI without its query": {"redirect_uri": "https://app.example/callback"},
    "redirect URI in other case": {"redirect_uri": REDIRECT_URI.replace("callback", "Callback")},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_code_with_a_wrong_proof_is_refused_and_not_burnt(app: App, code: str, changes: dict[str, str]) -> None:
    for _ in range(3):
        refused(app.redeem(code, **changes), "invalid_grant")
    assert app.redeem(code).status_code == 200


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_code_replayed_with_a_wrong_proof_revokes_nothing_oauth21_4_1_3(
    app: App, code: str, tokens: dict[str, Any], opens: Any, changes: dict[str, str]
) -> None:
    refused(app.redeem(code, **changes), "invalid_grant")
    assert opens(tokens["access_token"])
    assert app.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("verifier", "words"),
    [
        ("x" * 42, "has 42 characters"),
        ("x" * 129, "has 129 characters"),
        ("x" * 42 + "+", "may hold only"),
        ("x" * 42 + "ä", "printable ASCII"),
    ],
)
def test_verifier_of_the_wrong_form_is_an_invalid_request_and_burns_nothing(
    app: App, code: str, verifier: str, words: str
) -> None:
    refused(app.redeem(code, code_verifier=verifier), "invalid_request", words)
    assert app.redeem(code).status_code == 200


def test_verifier_equal_to_the_challenge_is_refused(app: App, code: str) -> None:
    """Whoever saw the link knows the challenge; under ``plain`` that would be enough."""
    challenge = AuthorizationCode.objects.get().code_challenge
    refused(app.redeem(code, code_verifier=challenge), "invalid_grant")


@pytest.mark.parametrize("public", [False, True])
def test_code_of_another_client_is_refused_and_neither_burnt_nor_revoked(
    app: App, code: str, register: Callable[..., App], opens: Any, public: bool
) -> None:
    stranger = register(client_id="stranger", public=public)
    refused(stranger.redeem(code), "invalid_grant")
    tokens = app.redeem(code).json()
    refused(stranger.redeem(code), "invalid_grant")
    assert opens(tokens["access_token"])


@pytest.mark.parametrize("code", ["x", "pkce_ac_", "pkce_ac_" + "x" * 43, "a b", "%", "'; DROP TABLE", "x" * 4096])
def test_code_that_never_was_is_an_invalid_grant(app: App, code: str) -> None:
    refused(app.redeem(code), "invalid_grant")


def test_code_in_other_case_is_another_code(app: App, code: str) -> None:
    refused(app.redeem(code.swapcase()), "invalid_grant")
    refused(app.redeem(code + " "), "invalid_grant")


def test_code_digest_is_no_code(app: App, code: str) -> None:
    refused(app.redeem(AuthorizationCode.objects.get().digest.hex()), "invalid_grant")


def test_code_is_no_refresh_token_and_the_other_way_round(app: App, code: str) -> None:
    refused(app.refresh(code), "invalid_grant")
    tokens = app.redeem(code).json()
    refused(app.redeem(tokens["refresh_token"]), "invalid_grant")
    refused(app.redeem(tokens["access_token"]), "invalid_grant")
    refused(app.refresh(tokens["access_token"]), "invalid_grant")


def test_code_expires_after_a_minute(app: App, code: str, later: Callable[..., None]) -> None:
    later(seconds=61)
    refused(app.redeem(code), "invalid_grant", "expired")


def test_code_works_until_just_before_it_expires(app: App, code: str, later: Callable[..., None]) -> None:
    later(seconds=55)
    assert app.redeem(code).status_code == 200


def test_code_of_a_deactivated_user_is_refused(app: App, code: str, alice: Any) -> None:
    alice.is_active = False
    alice.save()
    refused(app.redeem(code), "invalid_grant")


def test_code_of_a_deleted_user_is_refused(app: App, code: str, alice: Any) -> None:
    alice.delete()
    refused(app.redeem(code), "invalid_grant")


def test_code_for_a_client_without_the_grant_type_is_unauthorized_client(app: App, code: str) -> None:
    app.client.grant_types = "refresh_token"
    app.client.save()
    refused(app.redeem(code), "unauthorized_client", "authorization_code")


def test_client_without_refresh_grant_gets_no_refresh_token(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(grant_types="authorization_code")
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    assert "refresh_token" not in tokens
    assert tokens["access_token"]


@pytest.mark.parametrize("elapsed", [0, 59, 3600])
def test_code_replayed_with_every_proof_revokes_what_it_gave_rfc6749_4_1_2(
    app: App, code: str, tokens: dict[str, Any], opens: Any, later: Callable[..., None], elapsed: int
) -> None:
    later(seconds=elapsed)
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert opens(renewed["access_token"])
    refused(app.redeem(code), "invalid_grant", "already redeemed")
    assert not opens(tokens["access_token"])
    assert not opens(renewed["access_token"])
    refused(app.refresh(renewed["refresh_token"]), "invalid_grant", "revoked")


def test_code_replayed_revokes_nothing_of_another_authorization(app: App, signed_in: Browser, opens: Any) -> None:
    first, second = (approve(signed_in, app.link())["code"] for _ in range(2))
    kept = app.redeem(first).json()
    app.redeem(second)
    app.redeem(second)
    assert opens(kept["access_token"])


def test_code_replayed_is_told_by_signal_and_log(
    app: App,
    code: str,
    tokens: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:
    heard: list[dict[str, Any]] = []

    def receiver(**facts: Any) -> None:
        heard.append(facts)

    signals.reuse_detected.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            app.redeem(code)
    finally:
        signals.reuse_detected.disconnect(receiver)
    assert [(facts["client"], facts["what"]) for facts in heard] == [(app.client, "authorization_code")]
    assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.REPLAY
    assert "revoked" in caplog.text
    assert code not in caplog.text


def test_authorization_lifetime_ends_everything_it_gave(
    app: App, signed_in: Browser, opens: Any, settings: Any, later: Callable[..., None]
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUTHORIZATION_LIFETIME": timedelta(minutes=30)}
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    assert 1790 <= tokens["expires_in"] <= 1800
    end = TokenFamily.objects.get().expires_at
    assert AccessToken.objects.get().expires_at == RefreshToken.objects.get().expires_at == end
    later(minutes=20)
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert renewed["expires_in"] <= 600
    later(minutes=10, seconds=1)
    assert not opens(renewed["access_token"])
    refused(app.refresh(renewed["refresh_token"]), "invalid_grant", "expired")


def test_access_token_dies_with_its_client_user_family_and_time(
    app: App, tokens: dict[str, Any], opens: Any, alice: Any, later: Callable[..., None]
) -> None:
    token = tokens["access_token"]
    assert opens(token)
    app.client.disabled_at = timezone.now()
    app.client.save()
    assert not opens(token)
    app.client.disabled_at = None
    app.client.save()
    alice.is_active = False
    alice.save()
    assert not opens(token)
    alice.is_active = True
    alice.save()
    assert opens(token)
    later(seconds=3601)
    assert not opens(token)
