"""Protected resource metadata at the root and path-inserted (RFC 9728 §3.1), and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client as Browser
from django.test import override_settings

from django_pkce_auth.resource import require_scopes

WELL_KNOWN = "/.well-known/oauth-protected-resource"
RESOURCES = {"/mcp": {"name": "Photo tools", "scopes": ["read"]}, "https://elsewhere.example/api": "Elsewhere"}


@pytest.fixture(autouse=True)
def resources() -> Any:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": RESOURCES}):
        yield


def test_project_itself_is_described_at_the_root() -> None:
    assert Browser().get(WELL_KNOWN).json() == {
        "resource": "https://testserver",
        "authorization_servers": ["https://testserver"],
        "scopes_supported": ["read", "write", "profile"],
        "bearer_methods_supported": ["header"],
    }


def test_scope_that_asks_for_refresh_tokens_is_of_no_resource(settings: Any) -> None:
    scopes = {"read": "Read your data", "offline_access": "Do so while you are away"}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "SCOPES": scopes}
    assert Browser().get("/.well-known/oauth-protected-resource").json()["scopes_supported"] == ["read"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_resource_with_a_path_is_described_behind_it(slash: str) -> None:
    assert Browser().get(f"{WELL_KNOWN}/mcp{slash}").json() == {
        "resource": "https://testserver/mcp",
        "resource_name": "Photo tools",
        "authorization_servers": ["https://testserver"],
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize("path", ["/api", "/mcp/tools", "/MCP", "/https://elsewhere.example/api", "x", "/%00"])
def test_other_paths_are_not_found(path: str) -> None:
    assert Browser().get(f"{WELL_KNOWN}{path}").status_code == 404


def test_document_is_cacheable_conditional_and_open_to_scripts() -> None:
    first = Browser().get(WELL_KNOWN)
    assert "max-age" in first["Cache-Control"]
    assert first["Access-Control-Allow-Origin"] == "*"
    again = Browser().get(WELL_KNOWN, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert Browser().post(WELL_KNOWN).status_code == 405


def test_issuer_with_a_path_is_found_behind_it_and_at_the_root() -> None:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"ISSUER": "https://testserver/tenant"}):
        for path in ("", "/tenant"):
            assert Browser().get(f"{WELL_KNOWN}{path}").json()["resource"] == "https://testserver/tenant"


def test_challenge_leads_to_the_document_of_the_resource(rf: Any) -> None:
    view = require_scopes("read")(lambda request: None)
    for path, document in (("/mcp/tools", f"{WELL_KNOWN}/mcp"), ("/api", WELL_KNOWN)):
        challenge = view(rf.get(path))["WWW-Authenticate"]
        assert challenge == f'Bearer scope="read", resource_metadata="https://testserver{document}"'
        assert Browser().get(document).status_code == 200


def test_challenge_names_no_document_where_no_url_leads_to_one(rf: Any) -> None:
    view = require_scopes("read")(lambda request: None)
    with override_settings(ROOT_URLCONF="tests.empty_urls"):
        assert view(rf.get("/api"))["WWW-Authenticate"] == 'Bearer scope="read"'
    elsewhere = require_scopes("read", resource="https://elsewhere.example/api")(lambda request: None)
    assert elsewhere(rf.get("/api"))["WWW-Authenticate"] == 'Bearer scope="read"'
