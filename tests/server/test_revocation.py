"""POST /oauth/revoke (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.server.models import AuthorizationCode, Consent, TokenFamily
from tests.four_steps import App, approve
from tests.server.test_token_request import refused

BOTH = ("access_token", "refresh_token")


def revoke(app: App, token: str, **more: str) -> Any:
    return app.post("/oauth/revoke", token=token, **more)


def gone(response: Any) -> None:
    """Check the empty success of RFC 7009 §2.2, which strict clients want to be JSON."""
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {}


@pytest.fixture(params=["confidential", "public"])
def either(request: pytest.FixtureRequest, app: App, public_app: App) -> App:
    return app if request.param == "confidential" else public_app


@pytest.fixture
def given(either: App, signed_in: Browser) -> dict[str, Any]:
    return dict(either.redeem(approve(signed_in, either.link())["code"]).json())


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("hint", [None, *BOTH, "id_token", "nonsense"])
def test_either_token_ends_the_family_whatever_the_hint_rfc7009_2_1(
    either: App, given: dict[str, Any], opens: Any, kind: str, hint: str | None
) -> None:
    renewed = either.refresh(given["refresh_token"]).json()
    gone(revoke(either, renewed[kind], **({"token_type_hint": hint} if hint else {})))
    assert not opens(given["access_token"])
    assert not opens(renewed["access_token"])
    refused(either.refresh(renewed["refresh_token"]), "invalid_grant")
    assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.CLIENT


@pytest.mark.parametrize("kind", BOTH)
def test_retry_window_does_not_outlive_revocation(either: App, given: dict[str, Any], kind: str) -> None:
    """A superseded refresh token has its retries only while the family lives."""
    renewed = either.refresh(given["refresh_token"]).json()
    gone(revoke(either, renewed[kind]))
    refused(either.refresh(given["refresh_token"]), "invalid_grant")


def test_superseded_token_revokes_too(either: App, given: dict[str, Any], opens: Any) -> None:
    renewed = either.refresh(given["refresh_token"]).json()
    gone(revoke(either, given["refresh_token"]))
    assert not opens(renewed["access_token"])


def test_revoked_before_is_no_error_and_keeps_its_reason(either: App, given: dict[str, Any]) -> None:
    TokenFamily.objects.update(revoked_at=timezone.now(), revoked_reason=TokenFamily.Reason.USER)
    gone(revoke(either, given["access_token"]))
    assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.USER


@pytest.mark.parametrize(
    "token", ["x", "pkce_at_" + "x" * 43, "pkce_rt_" + "x" * 43, "pkce_rt_", "%", '"; DROP', " ", "x" * 4096]
)
def test_unknown_token_is_as_good_as_revoked_rfc7009_2_2(either: App, token: str) -> None:
    gone(revoke(either, token))


def test_expired_token_revokes_its_family(either: App, given: dict[str, Any], later: Callable[..., None]) -> None:
    later(hours=2)
    gone(revoke(either, given["access_token"]))
    refused(either.refresh(given["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("public", [False, True])
def test_token_of_another_client_stays_rfc7009_2_1(
    either: App, given: dict[str, Any], register: Callable[..., App], opens: Any, kind: str, public: bool
) -> None:
    stranger = register(client_id="stranger", public=public)
    refused(revoke(stranger, given[kind]), "unauthorized_client", "another client")
    assert opens(given["access_token"])
    assert either.refresh(given["refresh_token"]).status_code == 200


def test_client_must_authenticate(app: App, tokens: dict[str, Any], opens: Any) -> None:
    token = tokens["access_token"]
    secret, app.secret = app.secret, None
    refused(revoke(app, token), "invalid_client", status=401)
    app.secret = "pkce_cs_" + "x" * 43
    refused(revoke(app, token), "invalid_client", status=401)
    app.secret = secret
    app.client.disabled_at = timezone.now()
    app.client.save()
    refused(revoke(app, token), "invalid_client", status=401)
    app.client.disabled_at = None
    app.client.save()
    assert opens(token)


def test_token_missing_or_sent_twice_or_in_the_url_is_refused(app: App, tokens: dict[str, Any], opens: Any) -> None:
    token = tokens["access_token"]
    refused(app.post("/oauth/revoke", token_type_hint="access_token"), "invalid_request", "token is missing")
    refused(app.post(f"/oauth/revoke?token={token}"), "invalid_request", "in the URL")
    body = f"token={token}&token={token}&client_id={app.client.client_id}&client_secret={app.secret}"
    twice = Browser().post("/oauth/revoke", body, content_type="application/x-www-form-urlencoded")
    refused(twice, "invalid_request", "more than once")
    assert opens(token)


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_method_other_than_post_revokes_nothing(tokens: dict[str, Any], opens: Any, method: str) -> None:
    assert getattr(Browser(), method)("/oauth/revoke").status_code == 405
    assert opens(tokens["access_token"])


def test_authorization_code_is_no_token_and_stays(app: App, code: str) -> None:
    gone(revoke(app, code))
    assert AuthorizationCode.objects.get().family is None
    assert app.redeem(code).status_code == 200


def test_other_families_and_the_consent_stay(app: App, tokens: dict[str, Any], signed_in: Browser, opens: Any) -> None:
    """The app logged out; the person did not take back what they allowed."""
    second = app.redeem(approve(signed_in, app.link())["code"]).json()
    gone(revoke(app, tokens["refresh_token"]))
    assert opens(second["access_token"])
    assert Consent.objects.count() == 1


def test_cost_is_the_same_whatever_the_family_holds(app: App, tokens: dict[str, Any], signed_in: Browser) -> None:
    counts = []
    for refreshes in (0, 30):
        held = app.redeem(approve(signed_in, app.link())["code"]).json()
        for _ in range(refreshes):
            held = app.refresh(held["refresh_token"]).json()
        with CaptureQueriesContext(connection) as captured:
            gone(revoke(app, held["access_token"]))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 5
