"""What the token endpoint takes, and how it says no (RFC 6749 §3.2, §5.2)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client as Browser

from django_pkce_auth.protocol.parameters import MAX_MESSAGE_BYTES
from django_pkce_auth.server.models import AccessToken
from tests.four_steps import REDIRECT_URI, VERIFIER, App

FORM = "application/x-www-form-urlencoded"


def refused(response: HttpResponse, error: str, words: str = "", status: int = 400) -> dict[str, Any]:
    """Check an error response of RFC 6749 §5.2, and that it is not cached."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    members = json.loads(response.content)
    assert members.keys() == {"error", "error_description"}
    assert members["error"] == error
    assert words in members["error_description"]
    return dict(members)


def send(body: Any, content_type: str = FORM, path: str = "/oauth/token", **extra: Any) -> HttpResponse:
    return Browser().post(path, body, content_type=content_type, **extra)


@pytest.fixture
def fields(app: App, code: str) -> dict[str, str]:
    """Everything that redeems ``code``, the secret in the body."""
    assert app.secret
    return {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT_URI,
        "client_id": "photo-app",
        "client_secret": app.secret,
    }


def test_success_is_json_that_is_not_cached_rfc6749_5_1(fields: dict[str, str]) -> None:
    response = send(urlencode(fields))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    assert json.loads(response.content).keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
    }


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
def test_method_other_than_post_is_405_with_allow(fields: dict[str, str], method: str) -> None:
    response = getattr(Browser(), method)("/oauth/token")
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"])
def test_client_that_hangs_up_amid_its_form_is_no_server_error(path: str) -> None:
    """Anybody can do it, as often as they like, and each time would be a mail to the administrators."""

    class HungUp:
        def read(self, *_: int) -> bytes:
            raise OSError("Connection reset by peer")

        readline = read

    refused(send("grant_type=refresh_token", path=path, **{"wsgi.input": HungUp()}), "invalid_request", "to its end")


def test_method_get_with_everything_in_the_url_gives_nothing(fields: dict[str, str]) -> None:
    assert Browser().get("/oauth/token", fields).status_code == 405
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencoded2"],
)
def test_content_type_other_than_form_is_refused(fields: dict[str, str], content_type: str) -> None:
    refused(send(urlencode(fields), content_type), "invalid_request", "Content-Type application/x-www-form-urlencoded")


def test_json_body_is_refused(fields: dict[str, str]) -> None:
    refused(send(json.dumps(fields), "application/json"), "invalid_request", "Content-Type")
    refused(send(json.dumps(fields)), "invalid_client", "No client identification arrived", status=401)


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=utf-8", FORM.upper(), f" {FORM} ;charset=latin-1"])
def test_content_type_with_charset_or_in_capitals_is_taken(fields: dict[str, str], content_type: str) -> None:
    assert send(urlencode(fields), content_type).status_code == 200


@pytest.mark.parametrize("query", ["client_secret=x", "code=x", "x=1", "&"])
def test_parameters_in_the_url_are_refused(fields: dict[str, str], query: str) -> None:
    refused(send(urlencode(fields), path=f"/oauth/token?{query}"), "invalid_request", "Parameters in the URL")
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("AUTHORIZATION_CODE", "unsupported_grant_type"),
        ("<script>", "unsupported_grant_type"),
        ("code\u00e4", "invalid_request"),
    ],
)
def test_grant_type_missing_or_unknown_is_refused(fields: dict[str, str], grant_type: str | None, error: str) -> None:
    sent = {name: value for name, value in (fields | {"grant_type": grant_type or ""}).items() if value}
    members = refused(send(urlencode(sent)), error)
    assert "script" not in members["error_description"]


@pytest.mark.parametrize("name", ["code", "code_verifier"])
def test_code_request_without_a_needed_parameter_names_it(fields: dict[str, str], name: str) -> None:
    refused(send(urlencode(fields | {name: ""})), "invalid_request", f"{name} is missing")


@pytest.mark.parametrize(
    "name", ["grant_type", "code", "code_verifier", "redirect_uri", "client_id", "client_secret", "x"]
)
def test_parameter_sent_twice_is_refused_rfc6749_3_2(fields: dict[str, str], name: str) -> None:
    body = urlencode(fields | {"x": "1"})
    refused(send(f"{body}&{name}=other"), "invalid_request", f"{name} was sent more than once")
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xff\xfe\x00", "bytes outside ASCII"),
        ("gränt_type=x".encode(), "bytes outside ASCII"),
        (b"code=%FF", "not UTF-8"),
        (b"code=%00", "NUL"),
        (b"code=%", "percent sign"),
        (b"&" * 64, "more than 64 parameters"),
        (b"x" * (MAX_MESSAGE_BYTES + 1), f"at most {MAX_MESSAGE_BYTES} bytes"),
    ],
)
def test_body_that_cannot_be_read_is_refused(db: None, body: bytes, words: str) -> None:
    refused(send(body), "invalid_request", words)


@pytest.mark.parametrize("body", [b"grant_type", b"=", b"\r\n\r\n", b'{"client_id": "photo-app"}'])
def test_body_without_a_client_is_invalid_client(db: None, body: bytes) -> None:
    refused(send(body), "invalid_client", "No client identification arrived", status=401)


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\xb2", "1" * 5000, str(MAX_MESSAGE_BYTES + 1)])
def test_content_length_of_any_kind_is_no_server_error(db: None, length: str) -> None:
    refused(send(b"grant_type=authorization_code", CONTENT_LENGTH=length), "invalid_request")


def test_body_larger_than_the_projects_own_limit_is_no_server_error(fields: dict[str, str], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert send(urlencode(fields)).status_code in (400, 413)


def test_session_cookie_plays_no_part(fields: dict[str, str], signed_in: Browser) -> None:
    """No cookie is needed, read or set, and no CSRF token (the endpoint is for programs)."""
    browser = Browser(enforce_csrf_checks=True)
    response = browser.post("/oauth/token", urlencode(fields), content_type=FORM)
    assert response.status_code == 200
    assert not response.cookies


def test_unknown_parameters_are_ignored_rfc6749_3_2(fields: dict[str, str]) -> None:
    assert send(urlencode(fields | {"device_name": "x", "expires": "9"})).status_code == 200
