"""GET /.well-known/oauth-authorization-server (RFC 8414)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.checks import run_checks
from django.test import Client as Browser
from django.test.utils import override_script_prefix
from django.urls import include, path

from django_pkce_auth.protocol.grant_types import GRANT_TYPES
from django_pkce_auth.protocol.metadata import ServerMetadata, well_known_urls
from django_pkce_auth.server.grants import GRANTS

URL = "/.well-known/oauth-authorization-server"
URLS = {
    "authorization_endpoint": "get",
    "token_endpoint": "post",
    "revocation_endpoint": "post",
    "introspection_endpoint": "post",
    "device_authorization_endpoint": "post",
    "jwks_uri": "get",
}
# A project below a path of its host, with the well-known documents at the root, as docs/server.md says.
urlpatterns = [
    path("sso/", include("django_pkce_auth.urls")),
    path("", include("django_pkce_auth.well_known_urls")),
]


class OtherOrder:
    """The same URLconf from the other end."""

    urlpatterns = urlpatterns[::-1]


def document(where: str = URL, **extra: Any) -> dict[str, Any]:
    response: Any = Browser().get(where, **extra)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    return dict(response.json())


def test_document_is_whole_and_nothing_in_it_is_null_rfc8414_2() -> None:
    assert document() == {
        "issuer": "https://testserver",
        "authorization_endpoint": "https://testserver/oauth/authorize",
        "token_endpoint": "https://testserver/oauth/token",
        "revocation_endpoint": "https://testserver/oauth/revoke",
        "introspection_endpoint": "https://testserver/oauth/introspect",
        "device_authorization_endpoint": "https://testserver/oauth/device_authorization",
        "jwks_uri": "https://testserver/oauth/jwks",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["read", "write", "profile"],
    }


def test_document_without_scopes_leaves_the_member_out(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": {}}
    members = document()
    assert "scopes_supported" not in members
    assert None not in members.values()


def test_our_own_client_side_accepts_it() -> None:
    found = ServerMetadata.decode(document(), issuer="https://testserver")
    assert found.iss_parameter_supported
    assert found.code_challenge_methods == ("S256",)


@pytest.mark.django_db
@pytest.mark.parametrize("member", URLS)
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("append_slash", [True, False])
def test_advertised_url_answers_without_a_redirect(settings: Any, member: str, slash: str, append_slash: bool) -> None:
    settings.APPEND_SLASH = append_slash
    where = urlsplit(document(URL + slash)[member]).path + slash
    response = getattr(Browser(enforce_csrf_checks=True), URLS[member])(where)
    assert response.status_code in ((200,) if member == "jwks_uri" else (400, 401)), response.content
    assert "Location" not in response


@pytest.mark.django_db
def test_advertised_grant_types_are_those_that_the_token_endpoint_knows(app: Any) -> None:
    for grant_type in [*document()["grant_types_supported"], "password", "implicit"]:
        error = app.post(grant_type=grant_type).json()["error"]
        assert (error == "unsupported_grant_type") is (grant_type in ("password", "implicit")), grant_type


def test_any_page_may_read_it_and_caches_may_keep_it() -> None:
    response = Browser().get(URL, headers={"Origin": "https://anybody.example"})
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cache-Control"] == "public, max-age=3600"
    assert "Access-Control-Allow-Credentials" not in response
    assert not response.cookies


def test_etag_gives_304_with_the_headers_of_the_200_rfc9110_15_4_5() -> None:
    first = Browser().get(URL)
    for sent in (first["ETag"], f'"other", {first["ETag"]}', f"W/{first['ETag']}", "*"):
        again = Browser().get(URL, headers={"If-None-Match": sent})
        assert again.status_code == 304
        assert again.content == b""
        for header in ("ETag", "Cache-Control", "Access-Control-Allow-Origin"):
            assert again[header] == first[header]
    assert Browser().get(URL, headers={"If-None-Match": '"other"'}).status_code == 200


def test_etag_changes_with_the_settings(settings: Any) -> None:
    before = Browser().get(URL)["ETag"]
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": {"read": "Read"}}
    assert Browser().get(URL)["ETag"] != before


def test_head_has_the_headers_alone() -> None:
    response = Browser().head(URL)
    assert response.status_code == 200
    assert response["ETag"]
    assert response.content == b""


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_not_allowed(method: str) -> None:
    assert getattr(Browser(), method)(URL).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"},
        {"Forwarded": "host=evil.example;proto=http"},
        {"Host": "testserver:8000"},
    ],
)
def test_host_and_forwarded_headers_change_nothing(settings: Any, headers: dict[str, str]) -> None:
    before = Browser().get(URL)
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    after = Browser().get(URL, headers=headers)
    assert (after.content, after["ETag"]) == (before.content, before["ETag"])


@pytest.mark.parametrize("where", [f"{URL}/tenant", f"{URL}/other", f"{URL}x", f"{URL}/%2e%2e/x", f"{URL}/a/"])
def test_path_of_another_issuer_is_not_found_whatever_the_client_has_cached(where: str) -> None:
    etag = Browser().get(URL)["ETag"]
    for headers in ({}, {"If-None-Match": etag}, {"If-None-Match": "*"}):
        assert Browser().get(where, headers=headers).status_code == 404


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("urlconf", ["tests.urls", __name__])
def test_issuer_with_a_path_is_found_where_clients_look_rfc8414_3_1(settings: Any, slash: str, urlconf: str) -> None:
    issuer = "https://testserver/sso"
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"ISSUER": issuer}
    settings.ROOT_URLCONF = urlconf
    first, *_ = well_known_urls(issuer)
    assert urlsplit(first).path == f"{URL}/sso"
    assert ServerMetadata.decode(document(f"{URL}/sso{slash}"), issuer=issuer).issuer == issuer
    for other in ("sso2", "sso/x", "SSO"):
        assert Browser().get(f"{URL}/{other}").status_code == 404


@pytest.mark.parametrize("urlconf", [__name__, OtherOrder])
def test_issuer_with_a_path_advertises_nothing_outside_it(settings: Any, urlconf: Any) -> None:
    settings.ROOT_URLCONF = urlconf
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"ISSUER": "https://testserver/sso", "RESOURCES": {"/sso/mcp": "Tools"}}
    for where in (f"{URL}/sso", f"/sso{URL}"):
        members = document(where)
        assert {name: members[name].partition("/sso/oauth/")[0] for name in URLS} == dict.fromkeys(
            URLS, "https://testserver"
        )
        assert Browser().post(urlsplit(members["token_endpoint"]).path).status_code == 400
    for resource in ("/sso", "/sso/mcp"):
        told = document(f"/.well-known/oauth-protected-resource{resource}")
        assert (told["resource"], told["authorization_servers"]) == (
            f"https://testserver{resource}",
            ["https://testserver/sso"],
        )
    assert Browser().post("/oauth/token").status_code == 404
    assert [each.id for each in run_checks(tags=["urls"])] == []


def test_project_that_is_mounted_below_its_path_advertises_nothing_outside_it(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"ISSUER": "https://testserver/sso"}
    with override_script_prefix("/sso/"):
        members = document()
    assert members["issuer"] == "https://testserver/sso"
    assert all(members[name].startswith("https://testserver/sso/oauth/") for name in URLS)


def test_every_grant_type_that_a_client_can_have_is_answered() -> None:
    """The names stand apart from what answers them, which a project's start does not load."""
    assert tuple(GRANTS) == GRANT_TYPES
