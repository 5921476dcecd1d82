"""Malformed requests to the authorization endpoint: a page that says why, never a redirect (RFC 6749 §3.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client as Browser

from django_pkce_auth.protocol.parameters import MAX_MESSAGE_BYTES, MAX_PARAMETERS, MAX_VALUE_CHARACTERS
from tests.four_steps import REDIRECT_URI, App

ONCE = ["client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method", "x"]


def refuses(browser: Browser, link: str, words: str) -> None:
    for response in (browser.get(link), browser.post(link, {"decision": "approve"})):
        assert response.status_code == 400
        assert "Location" not in response
        assert "Refresh" not in response
        assert words in response.content.decode()


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("second", ["evil", "", None], ids=["another value", "empty", "the same value"])
def test_parameter_sent_twice_is_refused(app: App, signed_in: Browser, name: str, second: str | None) -> None:
    link = app.link() + "&x=1"
    value = {"x": "1", "redirect_uri": quote(REDIRECT_URI, safe="")}.get(name, "same") if second is None else second
    refuses(signed_in, f"{link}&{name}={value}", f"{name} was sent more than once")


def test_parameter_sent_twice_under_an_odd_name_is_not_repeated(app: App, signed_in: Browser) -> None:
    link = app.link() + "&%3Cscript%3E=1&%3Cscript%3E=2"
    refuses(signed_in, link, "A parameter was sent more than once")
    assert "&lt;script" not in signed_in.get(link).content.decode()


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "unknown"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a%00b", "holds a NUL character"),
        ("%00", "holds a NUL character"),
        ("x" * (MAX_VALUE_CHARACTERS + 1), f"at most {MAX_VALUE_CHARACTERS} are read"),
        ("%C3%28", "is not UTF-8"),
        ("%FF", "is not UTF-8"),
        ("%ED%A0%80", "is not UTF-8"),
        ("100%", "A percent sign is not followed by two hexadecimal digits"),
        ("%zz", "A percent sign is not followed by two hexadecimal digits"),
        ("%u0041", "A percent sign is not followed by two hexadecimal digits"),
    ],
    ids=["NUL", "only NUL", "too long", "bad UTF-8", "byte FF", "surrogate", "bare percent", "bad escape", "%u escape"],
)
def test_value_that_cannot_be_read_is_refused(app: App, signed_in: Browser, name: str, value: str, words: str) -> None:
    refuses(signed_in, f"{app.link_with(**{name: None})}&{name}={value}", words)


def test_request_too_long_is_refused(app: App, signed_in: Browser) -> None:
    more = "".join(f"&x{n}={'y' * 4000}" for n in range(5))
    refuses(signed_in, app.link() + more, f"at most {MAX_MESSAGE_BYTES} are read")


def test_request_with_too_many_parameters_is_refused(app: App, signed_in: Browser) -> None:
    more = "".join(f"&x{n}=y" for n in range(MAX_PARAMETERS))
    refuses(signed_in, app.link() + more, f"more than {MAX_PARAMETERS} parameters")


@pytest.mark.parametrize("query", ["", "?", "?&&&", "?=", "?client_id", "?%3D=%26", "?;;;", "?[]=1"])
def test_request_without_parameters_is_refused(db: None, query: str) -> None:
    refuses(Browser(), f"/oauth/authorize{query}", "has no client_id")


def test_raw_bytes_outside_ascii_in_the_query_are_refused(app: App, signed_in: Browser) -> None:
    response = signed_in.get("/oauth/authorize", QUERY_STRING="client_id=photo-app&state=\xe4")
    assert response.status_code == 400
    assert "bytes outside ASCII" in response.content.decode()


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_post_takes_the_request_from_the_url_only(app: App, signed_in: Browser, content_type: Any) -> None:
    body = app.link().partition("?")[2] + "&decision=approve"
    response = signed_in.post("/oauth/authorize", body, content_type=content_type)
    assert response.status_code == 400
    assert "Location" not in response
