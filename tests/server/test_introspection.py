"""POST /oauth/introspect (RFC 7662)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.server.models import Client
from tests.four_steps import App, approve
from tests.server.test_token_request import refused

INACTIVE = {"active": False}


def introspect(app: App, token: str, **more: str) -> dict[str, Any]:
    response: Any = app.post("/oauth/introspect", token=token, **more)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    return dict(response.json())


@pytest.fixture
def api(register: Callable[..., App]) -> App:
    """A resource server that may ask about every token."""
    return register(client_id="api", introspects=Client.Introspects.ALL)


@pytest.mark.parametrize("encoded", [True, False], ids=["form-encoded, as the RFC says", "raw, as many clients do"])
def test_caller_with_an_odd_client_id_is_answered(api: App, tokens: dict[str, Any], encoded: bool) -> None:
    odd = "100%+odd&=id%2B"
    Client.objects.filter(pk=api.client.pk).update(client_id=odd)
    pair = f"{quote(odd, safe='') if encoded else odd}:{api.secret}"
    answer = Browser().post(
        "/oauth/introspect",
        urlencode({"token": tokens["access_token"]}),
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Basic {b64encode(pair.encode()).decode()}"},
    )
    assert answer.json()["active"] is True


def test_access_token_is_described_rfc7662_2_2(api: App, tokens: dict[str, Any], alice: Any) -> None:
    members = introspect(api, tokens["access_token"])
    now = timezone.now().timestamp()
    assert now - 60 < members.pop("iat") <= now
    assert now + 3500 < members.pop("exp") <= now + 3600
    assert members == {
        "active": True,
        "client_id": "photo-app",
        "username": "alice",
        "sub": str(alice.pk),
        "scope": "read",
        "token_type": "Bearer",
        "aud": ["https://testserver"],
        "iss": "https://testserver",
    }


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_client_does_not_learn_its_users_name_by_the_way_rfc7662_5(
    app: App, tokens: dict[str, Any], alice: Any, kind: str
) -> None:
    """Often it is an e-mail address; nobody allowed it that, and a signed token does not tell it either."""
    members = introspect(app, tokens[kind])
    assert "username" not in members
    assert members["sub"] == str(alice.pk)


def test_refresh_token_is_described_without_a_token_type(app: App, tokens: dict[str, Any]) -> None:
    members = introspect(app, tokens["refresh_token"])
    assert members["active"] is True
    assert "token_type" not in members
    assert members["exp"] > timezone.now().timestamp() + 29 * 86400


def test_narrowed_token_has_its_own_scope(app: App, signed_in: Browser) -> None:
    given = app.redeem(approve(signed_in, app.link(scopes=("read", "write")))["code"]).json()
    narrowed = app.refresh(given["refresh_token"], scope="write").json()
    assert introspect(app, narrowed["access_token"])["scope"] == "write"
    assert introspect(app, narrowed["refresh_token"])["scope"] == "read write"


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_hint_changes_nothing(app: App, tokens: dict[str, Any], kind: str, hint: str) -> None:
    assert introspect(app, tokens[kind], token_type_hint=hint)["active"] is True


@pytest.mark.parametrize("token", ["x", "pkce_at_" + "x" * 43, "pkce_rt_" + "x" * 43, " ", "%00", "x" * 4096])
def test_unknown_token_is_inactive(app: App, token: str) -> None:
    assert introspect(app, token) == INACTIVE


def test_expired_or_superseded_token_is_inactive(app: App, tokens: dict[str, Any], later: Callable[..., None]) -> None:
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert introspect(app, tokens["refresh_token"]) == INACTIVE
    later(hours=1)
    assert introspect(app, renewed["access_token"]) == INACTIVE
    assert introspect(app, renewed["refresh_token"])["active"] is True
    later(days=30)
    assert introspect(app, renewed["refresh_token"]) == INACTIVE


def test_code_and_secret_are_no_tokens(app: App, code: str) -> None:
    assert introspect(app, code) == INACTIVE
    assert app.secret
    assert introspect(app, app.secret) == INACTIVE


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_token_of_another_client_is_told_only_to_who_may_know(
    tokens: dict[str, Any], register: Callable[..., App], kind: str
) -> None:
    """The answer about a token that is none of its business is the one about a token that does not exist."""
    assert introspect(register(client_id="stranger"), tokens[kind]) == INACTIVE


def test_api_learns_of_every_access_token_and_of_no_clients_refresh_token_rfc6749_1_5(
    app: App, api: App, tokens: dict[str, Any]
) -> None:
    """Many APIs look at ``active`` alone: a stolen refresh token would open them for a month, without the secret."""
    assert introspect(api, tokens["access_token"])["client_id"] == "photo-app"
    assert introspect(api, tokens["refresh_token"]) == INACTIVE
    assert introspect(app, tokens["refresh_token"])["active"] is True


def test_public_client_may_not_introspect_even_its_own(public_app: App, signed_in: Browser) -> None:
    given = public_app.redeem(approve(signed_in, public_app.link())["code"]).json()
    answer = public_app.post("/oauth/introspect", token=given["access_token"])
    refused(answer, "unauthorized_client", "public client")
    public_app.client.introspects = Client.Introspects.ALL
    public_app.client.save()
    refused(public_app.post("/oauth/introspect", token=given["access_token"]), "unauthorized_client")


def test_client_must_authenticate_rfc7662_2_1(app: App, tokens: dict[str, Any]) -> None:
    app.secret = None
    refused(app.post("/oauth/introspect", token=tokens["access_token"]), "invalid_client", status=401)
    app.secret = "pkce_cs_" + "x" * 43
    refused(app.post("/oauth/introspect", token=tokens["access_token"]), "invalid_client", status=401)


def test_disabled_resource_server_learns_nothing(api: App, tokens: dict[str, Any]) -> None:
    Client.objects.filter(pk=api.client.pk).update(disabled_at=timezone.now())
    refused(api.post("/oauth/introspect", token=tokens["access_token"]), "invalid_client", status=401)


def test_bearer_token_of_the_resource_server_is_no_client_authentication(app: App, tokens: dict[str, Any]) -> None:
    answer = Browser().post(
        "/oauth/introspect",
        f"token={tokens['access_token']}",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    refused(answer, "invalid_client", status=401)


def test_token_missing_is_named(app: App) -> None:
    refused(app.post("/oauth/introspect", token_type_hint="x"), "invalid_request", "token is missing")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token", "unknown"])
@pytest.mark.parametrize("service_user", [False, True])
def test_cost_is_two_statements_or_one_and_no_write(
    api: App, app: App, tokens: dict[str, Any], alice: Any, kind: str, service_user: bool
) -> None:
    if service_user:
        Client.objects.update(service_user=alice)
    with CaptureQueriesContext(connection) as captured:
        introspect(api, tokens.get(kind, "pkce_at_x"))
    assert len(captured) == (1 if connection.vendor == "postgresql" else 2)
    assert not any(word in query["sql"] for query in captured for word in ("INSERT", "UPDATE", "DELETE"))


def test_client_credentials_token_has_no_user_members(register: Callable[..., App]) -> None:
    robot = register(client_id="robot", grant_types="client_credentials")
    token = robot.post(grant_type="client_credentials", scope="read").json()["access_token"]
    members = introspect(robot, token)
    assert members["active"] is True
    assert not {"username", "sub"} & members.keys()
