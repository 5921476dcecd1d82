"""Tokens of another project, verified by its published keys and nothing else (RFC 9068 §4, RFC 8725)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client as Browser
from django.test import RequestFactory, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from django_pkce_auth import discovery
from django_pkce_auth.resource import require_scopes
from tests.resource.issuer import KEYS, Issuer, tampered

INVALID = 'error="invalid_token"'


@pytest.fixture(autouse=True)
def remote(issuer: Issuer) -> Iterator[None]:
    with use(issuer):
        yield


def use(server: Issuer, **more: Any) -> Any:
    entry = server.settings | more
    return override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"AUTHORIZATION_SERVER": entry})


@require_scopes("read")
def who(request: HttpRequest) -> HttpResponse:
    grant = request.oauth  # type: ignore[attr-defined]
    return JsonResponse(
        {
            "client_id": grant.client_id,
            "client": grant.client,
            "subject": grant.subject,
            "scopes": grant.scopes,
            "user": str(request.user),
            "claims": grant.claims.get("jti"),
        }
    )


def call(token: str, path: str = "/api") -> Any:
    return who(RequestFactory().get(path, headers={"Authorization": f"Bearer {token}"}))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = discovery.time.monotonic
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: clock() + seconds))


def refused(token: str) -> bool:
    response = call(token)
    return response.status_code == 401 and INVALID in response["WWW-Authenticate"]


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_token_of_every_algorithm_is_let_in_without_a_query(issuer: Issuer, algorithm: str) -> None:
    response = call(issuer.sign(algorithm))
    assert json.loads(response.content) == {
        "client_id": "app-there",
        "client": None,
        "subject": "7",
        "scopes": ["read"],
        "user": "AnonymousUser",
        "claims": "x",
    }


def test_keys_are_fetched_once(issuer: Issuer) -> None:
    for _ in range(5):
        assert call(issuer.sign()).status_code == 200
    assert issuer.asked == ["/.well-known/oauth-authorization-server", "/jwks"]


def test_address_of_the_keys_can_be_named(issuer: Issuer) -> None:
    with use(issuer, jwks_url=f"{issuer.url}/jwks"):
        assert call(issuer.sign()).status_code == 200
    assert issuer.asked == ["/jwks"]


def test_issuer_may_end_in_a_slash_as_those_of_other_products_do_rfc8414_2(issuer: Issuer) -> None:
    name = f"{issuer.url}/"
    document = {
        "issuer": name,
        "authorization_endpoint": f"{name}authorize",
        "token_endpoint": f"{name}token",
        "jwks_uri": f"{name}jwks",
    }
    issuer.answers["/.well-known/oauth-authorization-server"] = 200, document
    with use(issuer, issuer=name):
        assert call(issuer.sign(iss=name)).status_code == 200
        assert refused(issuer.sign())
    discovery._documents.clear()
    assert call(issuer.sign(iss=name)).status_code == 503


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": []},
        {"aud": [7]},
        {"aud": {"https://testserver": 1}},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"iat": 10**10},
        {"nbf": 10**10},
        {"nbf": "later"},
        {"client_id": None},
        {"client_id": 7},
        {"scope": ["read"]},
        {"scope": 'read"'},
    ],
)
def test_claims_that_are_not_for_us_now_are_refused(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert refused(issuer.sign(**changes))


def test_audience_may_be_one_of_several_or_the_named_one(issuer: Issuer) -> None:
    assert call(issuer.sign(aud=["https://other.example", "https://testserver"])).status_code == 200
    with use(issuer, audience="photos"):
        assert call(issuer.sign(aud="photos")).status_code == 200
        assert refused(issuer.sign(aud="films"))


def test_resource_below_a_path_takes_its_own_tokens_only(issuer: Issuer) -> None:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/mcp": "Tools"}}):
        assert call(issuer.sign(aud="https://testserver/mcp"), "/mcp/x").status_code == 200
        assert call(issuer.sign(aud="https://testserver/mcp"), "/x").status_code == 401
        assert call(issuer.sign(), "/mcp/x").status_code == 401


def test_scope_that_lacks_is_403(issuer: Issuer) -> None:
    response = call(issuer.sign(scope="profile"))
    assert response.status_code == 403
    assert call(issuer.sign(scope=None)).status_code == 403


@pytest.mark.parametrize("kind", [None, "JWT", "at+jwtx", "", 7, ["at+jwt"]])
def test_token_of_another_kind_is_refused_rfc9068_4(issuer: Issuer, kind: Any) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": "ES256", "typ": kind}).encode()).decode()
    assert refused(f"{header.rstrip('=')}.{issuer.sign().split('.', 1)[1]}")
    if isinstance(kind, str):
        assert refused(issuer.sign(header={"typ": kind}))


@pytest.mark.parametrize("kind", ["application/at+jwt", "AT+JWT"])
def test_media_type_is_read_in_its_long_form_and_any_case(issuer: Issuer, kind: str) -> None:
    assert call(issuer.sign(header={"typ": kind})).status_code == 200


def test_unsigned_token_is_refused_rfc8725_3_2(issuer: Issuer) -> None:
    head, payload, _ = issuer.sign(header={"kid": "ES256"}).split(".")
    for name in ("none", "None", "NONE"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": name, "typ": "at+jwt", "kid": "ES256"}).encode())
        assert refused(f"{header.rstrip(b'=').decode()}.{payload}.")
    assert refused(f"{head}.{payload}.")


def test_public_key_is_no_shared_secret_rfc8725_3_1(issuer: Issuer) -> None:
    for encoding in (KEYS["RS256"].as_pem(private=False), json.dumps(issuer.public("RS256")).encode()):
        import hashlib
        import hmac

        header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "RS256"}).encode())
        payload = base64.urlsafe_b64encode(json.dumps(issuer.claims()).encode())
        signed = header.rstrip(b"=") + b"." + payload.rstrip(b"=")
        mac = base64.urlsafe_b64encode(hmac.new(encoding, signed, hashlib.sha256).digest()).rstrip(b"=")
        assert refused((signed + b"." + mac).decode())


def test_key_signs_only_by_its_own_algorithm(issuer: Issuer) -> None:
    assert refused(issuer.sign("PS256", key=KEYS["RS256"], header={"kid": "RS256"}))
    assert refused(issuer.sign("RS256", header={"kid": "PS256"}))
    issuer.keys = [issuer.public("RS256", alg=None) | {"alg": "RS256"}]


def test_key_of_a_stranger_is_refused(issuer: Issuer) -> None:
    stranger = ECKey.generate_key("P-256")
    assert refused(issuer.sign(key=stranger))
    assert refused(issuer.sign(key=stranger, header={"jwk": stranger.as_dict(private=False)}))
    assert refused(issuer.sign(key=stranger, header={"kid": "unknown"}))
    assert refused(issuer.sign(header={"kid": None}))


def test_changed_claims_are_refused(issuer: Issuer) -> None:
    assert refused(tampered(issuer.sign(), scope="read write"))


@pytest.mark.parametrize("what", ["short rsa", "symmetric", "for encryption", "no kid", "broken"])
def test_published_key_that_should_not_be_trusted_is_not_used(issuer: Issuer, what: str) -> None:
    key, algorithm = KEYS["ES256"], "ES256"
    if what == "short rsa":
        with pytest.warns(SecurityWarning):
            key, algorithm = RSAKey.generate_key(1024), "RS256"
        published = {**key.as_dict(private=False), "kid": "k"}
    elif what == "symmetric":
        key, algorithm = OctKey.generate_key(256), "HS256"
        published = {**key.as_dict(private=True), "kid": "k"}
    elif what == "broken":
        published = issuer.public("ES256", kid="k", x="!!")
    elif what == "no kid":
        published = {name: value for name, value in issuer.public("ES256").items() if name != "kid"}
    else:
        published = issuer.public("ES256", kid="k", use="enc")
    issuer.keys = [published]
    token = jwt.encode(
        {"alg": algorithm, "typ": "at+jwt", "kid": "k"},
        issuer.claims(),
        key,
        algorithms=[algorithm],
        default_type=None,
    )
    assert refused(token)


def test_unknown_kid_asks_for_the_keys_once_and_not_again_for_a_while(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.keys = [issuer.public("RS256")]
    assert call(issuer.sign("RS256")).status_code == 200
    later(monkeypatch, discovery.RETRY_SECONDS + 1)
    issuer.keys.append(issuer.public("ES256"))
    assert call(issuer.sign("ES256")).status_code == 200
    assert issuer.asked.count("/jwks") == 2
    for number in range(20):
        assert refused(issuer.sign(header={"kid": f"made-up-{number}"}))
    assert issuer.asked.count("/jwks") == 2


def test_key_that_is_gone_ends_with_the_kept_set(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(issuer.sign()).status_code == 200
    issuer.keys = [issuer.public("RS256")]
    later(monkeypatch, discovery.USUAL_SECONDS + 1)
    assert refused(issuer.sign())


@pytest.mark.parametrize(
    "answer", [(500, {}), (200, b"<html>"), (200, []), (200, {"keys": "x"}), (302, {}), (200, {"keys": None})]
)
def test_keys_that_can_not_be_had_are_503_and_recover(
    issuer: Issuer, answer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers["/jwks"] = answer
    token = issuer.sign()
    response = call(token)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert json.loads(response.content)["error"] == "temporarily_unavailable"
    assert "WWW-Authenticate" not in response
    assert f"Tokens can't be verified: {issuer.url}/jwks answered {answer[0]}" in caplog.text
    assert token not in caplog.text
    del issuer.answers["/jwks"]
    later(monkeypatch, discovery.RETRY_SECONDS + 1)
    assert call(token).status_code == 200


def test_kept_keys_serve_while_the_issuer_is_down(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(issuer.sign()).status_code == 200
    issuer.answers["/jwks"] = (500, {})
    later(monkeypatch, discovery.USUAL_SECONDS + 1)
    assert call(issuer.sign()).status_code == 200


def user_of(claims: Any) -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model()(username=f"remote-{claims['sub']}", is_active=claims["sub"] != "blocked")


def test_project_says_which_user_a_subject_is(issuer: Issuer) -> None:
    with use(issuer, user="tests.resource.test_remote_jwks.user_of"):
        assert json.loads(call(issuer.sign()).content)["user"] == "remote-7"
        assert refused(issuer.sign(sub="blocked"))


def test_program_whose_client_id_is_a_persons_key_is_not_that_person_rfc9068_2_2(issuer: Issuer) -> None:
    with use(issuer, user="tests.resource.test_remote_jwks.user_of"):
        response = call(issuer.sign(client_id="7", sub="7"))
    assert response.status_code == 200
    answer = json.loads(response.content)
    assert (answer["client_id"], answer["subject"], answer["user"]) == ("7", None, "AnonymousUser")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(token=st.from_regex(r"[A-Za-z0-9._~+/-]{1,60}(\.[A-Za-z0-9_-]{0,60}){0,3}=*", fullmatch=True))
def test_any_token_is_refused_and_never_an_error(issuer: Issuer, token: str) -> None:
    assert refused(token)


def test_endless_nesting_is_refused(issuer: Issuer) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
    assert refused(f"{deep}.{deep[:100]}.x")


def test_metadata_of_this_project_leads_to_the_other_server(issuer: Issuer) -> None:
    document = Browser().get("/.well-known/oauth-protected-resource").json()
    assert document["authorization_servers"] == [issuer.url]
