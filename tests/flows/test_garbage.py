"""Whatever bytes arrive at the endpoints, the answer is never a server error and never a redirect to a stranger."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client as Browser
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.four_steps import REDIRECT_URI, VERIFIER, App

FUZZ = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NAMES = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "refresh_token",
    "resource",
    "prompt",
    "max_age",
    "login_hint",
    "iss",
    "error",
    "token",
    "token_type_hint",
    "user_code",
    "device_code",
]
KNOWN = [
    "photo-app",
    "code",
    REDIRECT_URI,
    VERIFIER,
    "S256",
    "read",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "https://testserver",
    "https://evil.example/",
    "none",
]
VALUES = st.one_of(st.sampled_from(KNOWN), st.text(max_size=60), st.text(max_size=3).map(lambda text: text * 1500))
PAIRS = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), VALUES), max_size=12)
FORMS = PAIRS.map(lambda pairs: urlencode([(name, value.encode("utf-8", "replace")) for name, value in pairs]).encode())
BODIES = st.one_of(FORMS, st.binary(max_size=200), st.tuples(FORMS, st.binary(max_size=9)).map(b"".join))
# What can stand in a header, as a server hands it to Django: bytes read as latin-1.
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=80)
AUTHORIZATION = st.one_of(
    HEADER, st.tuples(st.sampled_from(["Basic ", "Bearer ", "basic", "Bearer"]), HEADER).map("".join)
)
CONTENT_TYPES = st.one_of(
    st.just("application/x-www-form-urlencoded"),
    st.sampled_from(["application/json", "multipart/form-data; boundary=x", "multipart/form-data", ""]),
    HEADER,
)


def sent(browser: Browser, method: str, path: str, **rest: Any) -> Any:
    """Send what Django itself can read; some header values fail in its own request class."""
    try:
        RequestFactory().generic(method, path, **rest)
    except (LookupError, ValueError):
        return None
    return browser.generic(method, path, **rest)


def harmless(response: Any) -> None:
    if response is None:
        return
    assert response.status_code < 500
    target = response.headers.get("Location", "")
    if target:
        parts = urlsplit(target)
        assert target.startswith(REDIRECT_URI) or (not parts.scheme and not target.startswith("//")), target


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"])
@FUZZ
@given(body=BODIES, authorization=st.none() | AUTHORIZATION, content_type=CONTENT_TYPES)
def test_client_endpoint_answers_json_to_garbage(
    app: App, path: str, body: bytes, authorization: str | None, content_type: str
) -> None:
    more = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    response = sent(Browser(), "POST", path, data=body, content_type=content_type, **more)
    harmless(response)
    if response is not None and response.status_code >= 400:
        assert response.json()["error"]
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@FUZZ
@given(query=BODIES, body=BODIES, content_type=CONTENT_TYPES)
def test_authorization_endpoint_survives_garbage(
    app: App, signed_in: Browser, method: str, query: bytes, body: bytes, content_type: str
) -> None:
    rest = {"data": body, "content_type": content_type} if method == "POST" else {}
    harmless(sent(signed_in, method, "/oauth/authorize", QUERY_STRING=query.decode("latin-1"), **rest))


@pytest.mark.parametrize("link", [True, False])
@FUZZ
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_authorization_endpoint_survives_a_link_gone_wrong(
    app: App, signed_in: Browser, link: bool, changes: dict[str, str]
) -> None:
    clean = {name: value.encode("utf-8", "replace").decode() for name, value in changes.items()}
    path = app.link_with(**clean)
    harmless(signed_in.get(path) if link else signed_in.post(path, {"decision": "approve"}))


@pytest.mark.parametrize("path", ["/connect/acme/callback", "/connect/nobody/callback"])
@FUZZ
@given(query=BODIES, cookie=HEADER)
def test_callback_survives_garbage(signed_in: Browser, path: str, query: bytes, cookie: str) -> None:
    cookies = f"sessionid={signed_in.cookies['sessionid'].value}; __Host-pkce_auth={cookie}"
    harmless(sent(signed_in, "GET", path, QUERY_STRING=query.decode("latin-1"), HTTP_COOKIE=cookies))


@pytest.mark.parametrize("path", ["/api/read", "/api/async"])
@FUZZ
@given(authorization=AUTHORIZATION)
def test_guarded_api_answers_garbage_with_a_challenge(db: None, path: str, authorization: str) -> None:
    response = Browser().get(path, headers={"Authorization": authorization})
    assert response.status_code in (400, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response["WWW-Authenticate"].isascii()


@pytest.mark.parametrize(
    "path", ["/oauth/apps", "/oauth/device", "/oauth/device/qr.svg", "/connect/acme/", "/connect/finished"]
)
@FUZZ
@given(query=BODIES, body=BODIES, content_type=CONTENT_TYPES, method=st.sampled_from(["GET", "POST"]))
def test_pages_for_people_survive_garbage(
    signed_in: Browser, path: str, query: bytes, body: bytes, content_type: str, method: str
) -> None:
    response = sent(signed_in, method, path, QUERY_STRING=query.decode("latin-1"), data=body, content_type=content_type)
    assert response is None or response.status_code < 500
