"""What strict clients of others rely on; ``tests/interop`` runs those clients themselves."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode, urlsplit

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client as Browser
from django.test import override_settings
from django.utils import timezone

from django_pkce_auth.server.clients import add_secret
from tests.four_steps import STATE, App, approve, returned

ODD_ID = "odd+id%2F=&/%~client"
ODD_SECRET = "100%+odd:&=secret/with~signs-and=more%2Bof+them"
METADATA = "/.well-known/oauth-authorization-server"
ISSUER = "https://testserver"


@pytest.fixture
def odd_app(register: Callable[..., App]) -> App:
    """A client whose identifier and secret mean something else once they are form-decoded."""
    app = register(client_id=ODD_ID)
    app.secret = add_secret(app.client, raw=ODD_SECRET, now=timezone.now())
    return app


def basic(client_id: str, secret: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} " + b64encode(f"{client_id}:{secret}".encode()).decode()}


def post(path: str, headers: dict[str, str], **form: str) -> HttpResponse:
    body = urlencode(form)
    return Browser().post(path, body, content_type="application/x-www-form-urlencoded", headers=headers)


def metadata() -> dict[str, Any]:
    document = json.loads(Browser().get(METADATA).content)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
@pytest.mark.parametrize(
    "encode", [quote_plus, str], ids=["form-encoded (openid-client, oauth4webapi)", "raw (Authlib, requests-oauthlib)"]
)
def test_basic_credentials_are_read_form_encoded_and_raw_in_any_case_of_the_scheme_rfc6749_2_3_1(
    odd_app: App, path: str, scheme: str, encode: Callable[[str], str]
) -> None:
    headers = basic(encode(ODD_ID), encode(ODD_SECRET), scheme)
    form = {"grant_type": "refresh_token", "refresh_token": "unknown"} if path == "/oauth/token" else {"token": "x"}
    response = post(path, headers, **form)
    if path == "/oauth/token":
        # Past the authentication of the client, where the token is what is wrong.
        assert json.loads(response.content)["error"] == "invalid_grant"
    else:
        assert response.status_code == 200, response.content


def test_basic_identifier_of_one_reading_with_the_secret_of_the_other_proves_nothing(
    odd_app: App, register: Callable[..., App]
) -> None:
    """The two readings are two whole pairs."""
    other = register(client_id=unquote_plus(ODD_ID))
    other_secret = "f" * 40 + "%2B"
    add_secret(other.client, raw=other_secret, now=timezone.now())
    for secret in (other_secret, quote_plus(ODD_SECRET)):
        response = post("/oauth/introspect", basic(ODD_ID, secret), token="x")
        assert response.status_code == 401, response.content


@pytest.mark.parametrize("secret", [{}, {"client_secret": ""}], ids=["no secret", "an empty one (simple-oauth2)"])
def test_public_client_may_send_an_empty_secret(public_app: App, secret: dict[str, str]) -> None:
    response = post("/oauth/revoke", {}, client_id="phone-app", token="unknown", **secret)
    assert response.status_code == 200, response.content


def test_answer_without_content_is_still_json(app: App) -> None:
    """simple-oauth2 parses every answer strictly, those of the revocation endpoint too."""
    response = app.post("/oauth/revoke", token="unknown")
    assert (response.status_code, response["Content-Type"], response.content) == (200, "application/json", b"{}")


@pytest.mark.parametrize("query", ["?kept=1&also=a%20b", "?kept=1&also=a+b&empty=", "?kept&kept=%C3%A4"])
@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_query_of_a_registered_redirect_uri_survives_as_it_is_rfc6749_3_1_2(
    register: Callable[..., App], signed_in: Browser, query: str, decision: str
) -> None:
    uri = "https://app.example/callback" + query
    link = register(uris=(uri,)).link(redirect_uri=uri)
    response = signed_in.post(link, {"decision": decision})
    assert response.status_code == 303
    assert response["Location"].startswith(f"{uri}&{'code' if decision == 'approve' else 'error'}=")
    assert dict(parse_qsl(urlsplit(response["Location"]).query))["iss"] == ISSUER


REFUSALS: dict[str, tuple[dict[str, str | None], str]] = {
    "response_type": ({"response_type": "token"}, "unsupported_response_type"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "unknown scope": ({"scope": "fly"}, "invalid_scope"),
    "consent page not allowed": ({"prompt": "none"}, "consent_required"),
}


@pytest.mark.parametrize(("changes", "error"), REFUSALS.values(), ids=REFUSALS)
def test_iss_and_state_stand_on_error_answers_too_rfc9207_2(
    app: App, signed_in: Browser, changes: dict[str, str | None], error: str
) -> None:
    answer = returned(signed_in.get(app.link_with(**changes)))
    assert (answer["error"], answer["iss"], answer["state"]) == (error, ISSUER, STATE)


def test_iss_stands_on_the_answers_to_both_decisions_and_to_strangers_rfc9207_2(app: App, signed_in: Browser) -> None:
    denied = returned(signed_in.post(app.link(), {"decision": "deny"}))
    assert (denied["error"], denied["iss"], denied["state"]) == ("access_denied", ISSUER, STATE)
    stranger = returned(Browser().get(app.link_with(prompt="none")))
    assert (stranger["error"], stranger["iss"], stranger["state"]) == ("login_required", ISSUER, STATE)
    assert approve(signed_in, app.link())["iss"] == ISSUER
    assert metadata()["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("scopes", [{}, {"read": "Read"}], ids=["no scopes in the settings", "scopes"])
def test_metadata_has_no_null_and_no_empty_member_rfc8414_3_2(scopes: dict[str, str]) -> None:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"SCOPES": scopes}):
        document = metadata()
    assert None not in document.values()
    assert [] not in document.values()
    assert ("scopes_supported" in document) is bool(scopes)


def test_metadata_names_the_issuer_and_addresses_under_it_to_the_character_rfc8414_3_3() -> None:
    document = metadata()
    assert document["issuer"] == ISSUER
    endpoints = {name: url for name, url in document.items() if name.endswith("_endpoint")}
    assert {"authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint"} <= set(
        endpoints
    )
    assert all(url.startswith(f"{ISSUER}/oauth/") for url in endpoints.values())


def test_metadata_says_that_public_clients_exist_where_they_may_ask() -> None:
    document = metadata()
    everybody = ["client_secret_basic", "client_secret_post", "none"]
    assert document["token_endpoint_auth_methods_supported"] == everybody
    assert document["revocation_endpoint_auth_methods_supported"] == everybody
    assert document["introspection_endpoint_auth_methods_supported"] == everybody[:-1]
    assert document["code_challenge_methods_supported"] == ["S256"]


def test_metadata_is_of_type_json_and_cached_by_its_etag() -> None:
    first = Browser().get(METADATA)
    assert first["Content-Type"] == "application/json"
    assert first["Access-Control-Allow-Origin"] == "*"
    again = Browser().get(METADATA, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
