"""Test clients with a token: what the guard lets in, and what not."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_pkce_auth.server.models import Client, TokenFamily
from django_pkce_auth.testing import async_bearer_client, issue_access_token
from django_pkce_auth.testing import bearer_client as make


def test_bearer_client_is_let_in_as_its_user(bearer_client: Any, alice: Any) -> None:
    assert bearer_client(alice, ["read"]).get("/api/read").json() == {"user": "alice", "client": "test-client"}


def test_bearer_client_without_the_scope_is_refused(bearer_client: Any, alice: Any) -> None:
    assert bearer_client(alice, ["read"]).get("/api/write").status_code == 403


def test_expired_or_revoked_token_is_refused(bearer_client: Any, alice: Any) -> None:
    assert bearer_client(alice, ["read"], expires_in=-1).get("/api/read").status_code == 401
    client = bearer_client(alice, ["read"])
    TokenFamily.objects.update(revoked_at="2026-01-01T00:00:00Z")
    assert client.get("/api/read").status_code == 401


def test_token_of_a_client_of_the_projects_own(alice: Any) -> None:
    client = Client.objects.create(client_id="ours", name="Ours")
    assert make(alice, ["read"], client=client).get("/api/read").json()["client"] == "ours"
    assert not Client.objects.filter(client_id="test-client").exists()


def test_async_view_is_reached_by_an_async_client(alice: Any) -> None:
    client = async_bearer_client(alice, ["read"])
    assert async_to_sync(client.get)("/api/async").json() == {"user": "alice"}


@pytest.mark.parametrize(
    "resource", ["/api", "https://testserver/api", ["/mcp", "/api"], ("https://elsewhere.example", "/api")]
)
def test_view_of_a_resource_is_reached_by_a_token_that_names_it(alice: Any, settings: Any, resource: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/api": "Our API", "/mcp": "Tools"}}
    assert make(alice, ["read"], resource=resource).get("/api/read").status_code == 200
    client = async_bearer_client(alice, ["read"], resource=resource)
    assert async_to_sync(client.get)("/api/async").status_code == 200


@pytest.mark.parametrize("resource", [(), "/mcp", "https://testserver"])
def test_view_of_a_resource_refuses_tokens_for_others(alice: Any, settings: Any, resource: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/api": "Our API", "/mcp": "Tools"}}
    assert make(alice, ["read"], resource=resource).get("/api/read").status_code == 401


def test_token_for_a_resource_is_none_elsewhere(alice: Any) -> None:
    assert make(alice, ["read"], resource="/mcp").get("/api/read").status_code == 401
    assert make(alice, ["read"], resource="https://testserver").get("/api/read").status_code == 200


@pytest.mark.django_db
def test_token_without_a_user_is_a_client_that_acts_for_itself() -> None:
    issue_access_token(None, ["read"])
    assert TokenFamily.objects.get().user is None
