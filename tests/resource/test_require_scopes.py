"""``@require_scopes``: what opens the API, and the challenges that refuse (RFC 6750 §2.1, §3, §3.1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, RequestFactory
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.resource import require_scopes
from django_pkce_auth.resource.bearer import Grant
from django_pkce_auth.secrets import digest
from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from tests.four_steps import App, approve, bearer

WRITE_CHALLENGE = (
    'Bearer error="insufficient_scope", '
    'error_description="The access token does not have every scope that this needs.", scope="read write", '
    'resource_metadata="https://testserver/.well-known/oauth-protected-resource"'
)
METADATA = 'resource_metadata="https://testserver/.well-known/oauth-protected-resource"'
INVALID = (
    f'Bearer error="invalid_token", error_description="The access token is unknown, expired or revoked.", {METADATA}'
)
MALFORMED = 'Bearer error="invalid_request", error_description="The Authorization header is not Bearer and one token."'
NONE = f'Bearer scope="read", {METADATA}'


def refused(response: Any, status: int, challenge: str) -> None:
    assert response.status_code == status
    assert response["WWW-Authenticate"] == challenge
    assert response["Cache-Control"] == "no-store"
    assert "Location" not in response


@pytest.fixture(params=["/api/read", "/api/async"])
def api(request: pytest.FixtureRequest, db: None) -> Any:
    """Call the API, sync or async, with an Authorization header or without."""

    def call(authorization: str | None = None, **more: Any) -> Any:
        headers = {} if authorization is None else {"Authorization": authorization}
        return Browser().get(request.param, headers=headers, **more)

    return call


@pytest.mark.parametrize(
    ("header", "status", "challenge"),
    [
        (None, 401, NONE),
        ("", 401, NONE),
        ("Basic cGhvdG8tYXBwOng=", 401, NONE),
        ("Digest username=x", 401, NONE),
        ("Token pkce_at_x", 401, NONE),
        ("BearerX pkce_at_x", 401, NONE),
        ("pkce_at_x", 401, NONE),
        ("Bearer pkce_at_unknown", 401, INVALID),
        ("Bearer x", 401, INVALID),
        ("bearer x", 401, INVALID),
        ("Bearer", 400, MALFORMED),
        ("Bearer ", 400, MALFORMED),
        ("Bearer a b", 400, MALFORMED),
        ("Bearer a, Bearer b", 400, MALFORMED),
        ('Bearer "x"', 400, MALFORMED),
        ("Bearer <script>", 400, MALFORMED),
        ("Bearer \xe4", 400, MALFORMED),
        ("Bearer " + "x" * 60_000, 401, INVALID),
    ],
)
def test_header_that_opens_nothing_gets_its_challenge(
    api: Any, header: str | None, status: int, challenge: str
) -> None:
    refused(api(header), status, challenge)


def test_no_token_gets_no_error_code_rfc6750_3_1(api: Any) -> None:
    assert api().json() == {}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_scheme_is_read_in_any_case_rfc9110_11_1(api: Any, tokens: dict[str, Any], scheme: str) -> None:
    response = api(f"{scheme} {tokens['access_token']}")
    assert response.status_code == 200
    assert response.json()["user"] == "alice"


def test_token_in_query_or_body_is_not_read_oauth21_5_1(api: Any, tokens: dict[str, Any]) -> None:
    token = {"access_token": tokens["access_token"], "token": tokens["access_token"]}
    refused(api(query_params=token), 401, NONE)
    refused(Browser().post("/api/read", token), 401, NONE)
    refused(Browser().get("/api/read", headers={"Cookie": f"access_token={token['access_token']}"}), 401, NONE)


def test_session_opens_nothing(signed_in: Browser) -> None:
    refused(signed_in.get("/api/read"), 401, NONE)


def test_other_secrets_are_no_access_token(api: Any, app: App, code: str) -> None:
    tokens = app.redeem(code).json()
    for secret in (code, tokens["refresh_token"], app.secret, digest(tokens["access_token"]).hex()):
        refused(api(f"Bearer {secret}"), 401, INVALID)


def test_token_in_other_case_is_another_token(api: Any, tokens: dict[str, Any]) -> None:
    refused(api(f"Bearer {tokens['access_token'].swapcase()}"), 401, INVALID)


def test_insufficient_scope_is_403_and_names_all_that_is_needed_rfc6750_3_1(tokens: dict[str, Any]) -> None:
    response = Browser().get("/api/write", headers=bearer(tokens["access_token"]))
    refused(response, 403, WRITE_CHALLENGE)
    assert response.json()["error"] == "insufficient_scope"


def test_more_scopes_than_needed_are_enough(app: App, signed_in: Browser) -> None:
    tokens = app.redeem(approve(signed_in, app.link(scopes=("profile", "write", "read")))["code"]).json()
    assert Browser().get("/api/write", headers=bearer(tokens["access_token"])).status_code == 200


@pytest.mark.parametrize("what", ["token expired", "family expired", "family revoked", "client", "user"])
def test_token_that_ended_is_refused_like_an_unknown_one(
    api: Any, app: App, tokens: dict[str, Any], alice: Any, what: str
) -> None:
    header = f"Bearer {tokens['access_token']}"
    assert api(header).status_code == 200
    now = timezone.now()
    if what == "token expired":
        AccessToken.objects.update(expires_at=now)
    elif what == "family expired":
        TokenFamily.objects.update(expires_at=now)
    elif what == "family revoked":
        TokenFamily.objects.update(revoked_at=now)
    elif what == "client":
        type(app.client).objects.update(disabled_at=now)
    else:
        type(alice).objects.update(is_active=False)
    refused(api(header), 401, INVALID)


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        (AccessToken, {"expires_at": timezone.now()}, "expired"),
        (TokenFamily, {"expires_at": timezone.now()}, "expired"),
        (TokenFamily, {"revoked_at": timezone.now()}, "revoked"),
        (Client, {"disabled_at": timezone.now()}, "client disabled"),
        (get_user_model(), {"is_active": False}, "user inactive"),
        (AccessToken, {"digest": digest("another")}, "unknown"),
    ],
)
def test_log_says_why_and_the_answer_does_not_pain_18(
    api: Any, tokens: dict[str, Any], model: Any, changes: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model.objects.update(**changes)
    with caplog.at_level("INFO", "django_pkce_auth.server"):
        refused(api(f"Bearer {tokens['access_token']}"), 401, INVALID)
    (line,) = [each for each in caplog.records if getattr(each, "event", "") == "token_refused"]
    assert line.oauth["reason"] == reason  # type: ignore[attr-defined]
    assert ("client_id" in line.oauth) is (reason != "unknown")  # type: ignore[attr-defined]
    assert tokens["access_token"] not in f"{line.getMessage()}{line.__dict__}"


def test_user_deleted_ends_the_token(api: Any, tokens: dict[str, Any], alice: Any) -> None:
    alice.delete()
    refused(api(f"Bearer {tokens['access_token']}"), 401, INVALID)


@pytest.mark.parametrize("header", [None, "Bearer unknown", "Bearer a b", "TOKEN", "Basic x"])
def test_sync_and_async_answer_the_same_bytes(tokens: dict[str, Any], header: str | None) -> None:
    sent = f"Bearer {tokens['access_token']}" if header == "TOKEN" else header
    headers = {} if sent is None else {"Authorization": sent}
    one, other = (Browser().get(path, headers=headers) for path in ("/api/read", "/api/async"))
    if header != "TOKEN":
        assert one.content == other.content
    volatile = {"Content-Length"} if header == "TOKEN" else set()
    assert {name: one[name] for name in one.headers if name not in volatile} == {
        name: other[name] for name in other.headers if name not in volatile
    }
    assert one.status_code == other.status_code


@pytest.mark.django_db(transaction=True)
def test_asgi_request_is_let_in(tokens: dict[str, Any]) -> None:
    async def call() -> Any:
        try:
            return await AsyncClient().get("/api/async", headers=bearer(tokens["access_token"]))
        finally:
            await sync_to_async(connections.close_all)()  # that thread's own, which nobody else can close

    assert asyncio.run(call()).json() == {"user": "alice"}


@require_scopes("read")
def who(request: HttpRequest) -> HttpResponse:
    grant: Grant = request.oauth  # type: ignore[attr-defined]
    assert request.user == grant.acting_user
    return JsonResponse(
        {
            "user": str(request.user),
            "grant_user": str(grant.user),
            "client": grant.client.client_id,
            "scopes": grant.scopes,
            "in_future": grant.expires_at > timezone.now(),
        }
    )


def test_view_sees_user_client_and_scopes(tokens: dict[str, Any]) -> None:
    request = RequestFactory().get("/", headers=bearer(tokens["access_token"]))
    answer = who(request)
    assert b'"user": "alice", "grant_user": "alice", "client": "photo-app", "scopes": ["read"]' in answer.content
    assert b'"in_future": true' in answer.content


def test_request_of_no_person_acts_as_the_service_user_or_nobody(
    app: App, tokens: dict[str, Any], alice: Any, django_user_model: Any
) -> None:
    def call() -> Any:
        return who(RequestFactory().get("/", headers=bearer(tokens["access_token"])))

    TokenFamily.objects.update(user=None)
    assert b'"user": "AnonymousUser", "grant_user": "None"' in call().content
    robot = django_user_model.objects.create_user(username="robot")
    type(app.client).objects.update(service_user=robot)
    assert b'"user": "robot", "grant_user": "None"' in call().content
    robot.is_active = False
    robot.save()
    refused(call(), 401, INVALID)


def test_session_user_does_not_leak_into_a_request_with_a_token(
    signed_in: Browser, tokens: dict[str, Any], django_user_model: Any
) -> None:
    bob = django_user_model.objects.create_user(username="bob")
    browser = Browser()
    browser.force_login(bob)
    assert browser.get("/api/read", headers=bearer(tokens["access_token"])).json()["user"] == "alice"
    assert browser.get("/api/async", headers=bearer(tokens["access_token"])).json()["user"] == "alice"


@pytest.mark.parametrize("path", ["/api/read", "/api/async"])
def test_post_with_a_token_needs_no_csrf_token(tokens: dict[str, Any], path: str) -> None:
    browser = Browser(enforce_csrf_checks=True)
    assert browser.post(path, {"x": "1"}, headers=bearer(tokens["access_token"])).status_code == 200
    refused(browser.post(path, {"x": "1"}), 401, NONE)


@pytest.mark.parametrize("scopes", [(), ("",), ("read write",), ('"',), (None,), (who,)])
def test_decorator_refuses_what_is_no_scope_when_it_is_written(scopes: Any) -> None:
    with pytest.raises(ValueError, match="require_scopes"):
        require_scopes(*scopes)


def test_decorator_without_parentheses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"require_scopes\('read'\)"):
        require_scopes(who)  # type: ignore[arg-type]


def test_decorator_keeps_the_views_name() -> None:
    assert who.__name__ == "who"
