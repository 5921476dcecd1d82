"""Authorization server metadata (RFC 8414)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.metadata import ServerMetadata, server_document, well_known_urls
from tests.protocol.test_introspection import json_value
from tests.protocol.wire import refusal, value_or_refusal

ISSUER = "https://as.example"
ENDPOINTS = {"authorization_endpoint": f"{ISSUER}/a", "token_endpoint": f"{ISSUER}/t"}
paths = st.text("abc/?=&._-", max_size=20)
optional = st.none() | st.lists(st.sampled_from(["read", "write"]), min_size=1)


@given(paths, paths, st.none() | paths, optional)
def test_what_a_server_publishes_a_client_reads(
    authorize: str, token: str, revoke: str | None, scopes: list[str] | None
) -> None:
    endpoints = {"authorization_endpoint": f"{ISSUER}/{authorize}", "token_endpoint": f"{ISSUER}/{token}"}
    if revoke is not None:
        endpoints["revocation_endpoint"] = f"{ISSUER}/{revoke}"
    document = json.loads(json.dumps(server_document(ISSUER, endpoints=endpoints, scopes_supported=scopes)))
    assert None not in document.values()
    assert ServerMetadata.decode(document, issuer=ISSUER) == ServerMetadata(
        issuer=ISSUER,
        authorization_endpoint=endpoints["authorization_endpoint"],
        token_endpoint=endpoints["token_endpoint"],
        revocation_endpoint=endpoints.get("revocation_endpoint", ""),
        iss_parameter_supported=True,
        code_challenge_methods=("S256",),
        token_endpoint_auth_methods=("client_secret_basic", "client_secret_post", "none"),
    )


_MEMBERS = [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "authorization_response_iss_parameter_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
]


@given(st.dictionaries(st.sampled_from(_MEMBERS), json_value))
def test_any_document_gives_a_value_or_an_oauth_error(members: dict[str, Any]) -> None:
    value_or_refusal(lambda: ServerMetadata.decode(members, issuer=ISSUER))
    whole = {"issuer": ISSUER, **ENDPOINTS} | members
    value_or_refusal(lambda: ServerMetadata.decode(whole, issuer=ISSUER))


@given(json_value)
def test_any_json_gives_a_value_or_an_oauth_error(document: Any) -> None:
    value_or_refusal(lambda: ServerMetadata.decode(document, issuer=ISSUER))


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), "https://evil.example", None, 1, ""])
def test_issuer_that_is_not_equal_to_the_character_is_refused_rfc8414_3_3(issuer: Any) -> None:
    document = {"issuer": issuer, **ENDPOINTS}
    assert "another issuer" in refusal(lambda: ServerMetadata.decode(document, issuer=ISSUER))[1]


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("url", [None, "", "/a", "javascript:alert(1)", "https://as.example/#x", 1, ["https://x"]])
def test_endpoint_that_is_no_url_is_refused(name: str, url: Any) -> None:
    document = {"issuer": ISSUER, **ENDPOINTS, name: url}
    assert name in refusal(lambda: ServerMetadata.decode(document, issuer=ISSUER))[1]


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://as.example",
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ],
        ),
        (
            "https://as.example:8443/tenant/1",
            [
                "https://as.example:8443/.well-known/oauth-authorization-server/tenant/1",
                "https://as.example:8443/.well-known/openid-configuration/tenant/1",
                "https://as.example:8443/tenant/1/.well-known/openid-configuration",
            ],
        ),
        (
            "https://as.example/X/",
            [
                "https://as.example/.well-known/oauth-authorization-server/X",
                "https://as.example/.well-known/openid-configuration/X",
                "https://as.example/X/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_document_is_looked_for_in_this_order_rfc8414_3_1(issuer: str, urls: list[str]) -> None:
    assert list(well_known_urls(issuer)) == urls


def test_document_has_what_rfc8414_and_rfc9207_ask_for() -> None:
    assert server_document(ISSUER, endpoints=ENDPOINTS, scopes_supported=["read"], service_documentation=None) == {
        "issuer": ISSUER,
        **ENDPOINTS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["read"],
    }


def test_addresses_are_listed_by_their_names() -> None:
    read = ServerMetadata.decode({"issuer": ISSUER, **ENDPOINTS, "jwks_uri": f"{ISSUER}/j"}, issuer=ISSUER)
    named = {name: url for name, url in read.endpoints() if url}
    assert named == ENDPOINTS | {"jwks_uri": f"{ISSUER}/j"}
    assert {"revocation_endpoint", "userinfo_endpoint", "introspection_endpoint"} <= dict(read.endpoints()).keys()


def test_whole_document_is_read_rfc8414_2() -> None:
    document = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/a",
        "token_endpoint": f"{ISSUER}/t",
        "revocation_endpoint": f"{ISSUER}/r",
        "userinfo_endpoint": f"{ISSUER}/u",
        "introspection_endpoint": f"{ISSUER}/i",
        "jwks_uri": "http://127.0.0.1/j",
    }
    assert ServerMetadata.decode(document, issuer=ISSUER) == ServerMetadata(
        ISSUER, f"{ISSUER}/a", f"{ISSUER}/t", f"{ISSUER}/r", f"{ISSUER}/u", f"{ISSUER}/i", "http://127.0.0.1/j"
    )


def test_what_is_left_out_has_the_defaults_of_rfc8414_2() -> None:
    read = ServerMetadata.decode({"issuer": ISSUER, **ENDPOINTS}, issuer=ISSUER)
    assert (read.code_challenge_methods, read.token_endpoint_auth_methods) == ((), ("client_secret_basic",))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "The server's metadata is not a JSON object."),
        ({"issuer": "x"}, "The server's metadata names another issuer than the one asked for."),
    ],
)
def test_document_that_is_none_says_so(document: object, why: str) -> None:
    assert refusal(lambda: ServerMetadata.decode(document, issuer=ISSUER)) == ("invalid_request", why)
