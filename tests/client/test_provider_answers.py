"""Token endpoints and userinfo endpoints as they are: right, odd, and hostile."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.transport import Answer, TransportError
from tests.client.acme import (
    ACCESS_TOKEN,
    CODE,
    TOKEN_URL,
    TOKENS,
    USERINFO_URL,
    Acme,
    as_json,
    begin,
    come_back,
    connect,
    error,
)

MARK = "UNMISTAKABLE"


def lifetime() -> int | None:
    """What was stored, in seconds from now."""
    until = Connection.objects.get().access_token_expires_at
    return None if until is None else round((until - timezone.now()).total_seconds(), -1)


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": None, "expires": 1800}, 1800),
        ({"expires_in": "7200"}, 7200),
        ({"expires_in": 3600.5}, 3600),
        ({"expires_in": None}, None),
        ({"expires_in": -1}, None),
        ({"expires_in": 0}, None),
        ({"expires_in": "soon"}, None),
        ({"expires_in": True}, None),
        ({"expires_in": [3600]}, None),
        ({"expires_in": 10**30}, None),
    ],
)
def test_lifetime_is_read_as_servers_write_it(
    members: dict[str, Any], seconds: int | None, signed_in: Browser, acme: Acme
) -> None:
    acme.tokens(**members)
    assert connect(signed_in).status_code == 302
    assert lifetime() == seconds


@pytest.mark.parametrize("body", ['{"expires_in": NaN,', '{"expires_in": Infinity,', '{"expires_in": 1e400,'])
def test_lifetime_that_is_no_number_counts_as_not_said(body: str, signed_in: Browser, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = Answer(200, f'{body}"access_token":"a"}}'.encode())
    assert connect(signed_in).status_code == 302
    assert lifetime() is None


@pytest.mark.parametrize("kind", ["bearer", "BEARER", None])
def test_token_type_is_bearer_in_any_case_or_not_said(kind: str | None, signed_in: Browser, acme: Acme) -> None:
    acme.tokens(token_type=kind)
    assert connect(signed_in).status_code == 302


@pytest.mark.parametrize(
    ("scope", "stored"),
    [
        (None, "photos profile"),
        ("photos", "photos"),
        ("photos profile admin", "photos profile admin"),
        ("photos,profile", "photos profile"),
        ("", ""),
        (["photos"], "photos profile"),
        ('pho"tos', "photos profile"),
        ("s" * 200, "photos profile"),
    ],
)
def test_scope_that_was_granted_is_stored(scope: object, stored: str, signed_in: Browser, acme: Acme) -> None:
    acme.tokens(scope=scope)
    assert connect(signed_in).status_code == 302
    assert Connection.objects.get().scope == stored


def test_no_refresh_token_is_no_fault(signed_in: Browser, acme: Acme) -> None:
    acme.tokens(refresh_token=None)
    assert connect(signed_in).status_code == 302
    assert Connection.objects.get().raw_refresh_token == ""


def test_tokens_of_12000_characters_are_kept_whole(signed_in: Browser, acme: Acme) -> None:
    long_access, long_refresh = "a" * 12_000, "r" * 12_000
    acme.tokens(access_token=long_access, refresh_token=long_refresh)
    assert connect(signed_in).status_code == 302
    connection = Connection.objects.get()
    assert (connection.access_token(), connection.raw_refresh_token) == (long_access, long_refresh)


def test_members_that_we_do_not_know_are_ignored_rfc6749_5_1(signed_in: Browser, acme: Acme) -> None:
    acme.tokens(id_token="x.y.z", team={"id": [1]}, ok=True)
    assert connect(signed_in).status_code == 302


UNUSABLE = {
    "error with 200": (error("invalid_grant", MARK, status=200), 400),
    "error with 400": (error("invalid_grant", MARK), 400),
    "error with 401": (error("invalid_client", MARK, status=401), 400),
    "error that is no code": (as_json({"error": {"message": MARK}}, 400), 400),
    "html": (Answer(200, f"<!doctype html><h1>{MARK}</h1>".encode()), 502),
    "html with 400": (Answer(400, f"<!doctype html><h1>{MARK}</h1>".encode()), 502),
    "500": (error("server_error", MARK, status=500), 502),
    "503 with tokens": (as_json(TOKENS, 503), 502),
    "429": (Answer(429, b"slow down", {"retry-after": "3"}), 502),
    "redirect": (Answer(307, b"", {"location": "https://evil.example/token"}), 502),
    "redirect with tokens": (as_json(TOKENS, 302), 400),
    "time-out": (TransportError("https://acme.example did not answer: ReadTimeout."), 502),
    "oversized": (TransportError("https://acme.example sent more than 1048576 bytes."), 502),
    "empty": (Answer(200, b""), 502),
    "null": (Answer(200, b"null"), 502),
    "list": (as_json([TOKENS]), 502),
    "truncated": (Answer(200, json.dumps(TOKENS).encode()[:-20]), 502),
    "deep": (Answer(200, b"[" * 100_000), 502),
    "not UTF-8": (Answer(200, b'{"access_token": "\xff"}'), 502),
    "huge number": (Answer(200, b'{"access_token": "a", "expires_in": ' + b"9" * 5000 + b"}"), 502),
    "no access token": (as_json({"token_type": "Bearer"}), 400),
    "access token that is a number": (as_json(TOKENS | {"access_token": 5}), 400),
    "access token with a line end": (as_json(TOKENS | {"access_token": "a\r\nX-Evil: 1"}), 400),
    "access token with NUL": (as_json(TOKENS | {"access_token": "a\0"}), 400),
    "access token that is no ASCII": (as_json(TOKENS | {"access_token": "tökén"}), 400),
    "access token that is half a character": (Answer(200, b'{"access_token": "\\ud800"}'), 400),
    "refresh token that is a list": (as_json(TOKENS | {"refresh_token": ["r"]}), 400),
    "mac": (as_json(TOKENS | {"token_type": "mac"}), 400),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_that_can_not_be_used_connects_nothing_and_shows_nothing_of_it(
    name: str, signed_in: Browser, acme: Acme, log: Any
) -> None:
    acme.answers[TOKEN_URL], status = UNUSABLE[name]
    request = begin(signed_in)
    response = come_back(signed_in, code=CODE, state=request["state"])
    assert response.status_code == status
    page = response.content.decode()
    assert "Not connected" in page
    assert "/connect/acme/" in page
    assert MARK not in page
    assert not Connection.objects.exists()
    assert ConnectAttempt.objects.get().completed_at is None
    assert "Connect attempt ended: acme: " in log.text
    for secret in (CODE, request["state"], ACCESS_TOKEN, acme.asked()[0].form["code_verifier"]):
        assert secret not in log.text


def test_secrets_that_an_error_repeats_are_not_logged(signed_in: Browser, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]

    def repeat(sent: Any) -> Answer:
        form = sent.form
        return error(
            "invalid_grant", f"no such code {form['code']}, verifier {form['code_verifier']}, token {'t' * 64}"
        )

    acme.answers[TOKEN_URL] = repeat
    come_back(signed_in, code=CODE, state=state)
    assert "no such code ..., verifier ..., token ..." in log.text
    assert CODE not in log.text
    assert acme.asked()[0].form["code_verifier"] not in log.text


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, b"{}"),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        as_json({"sub": "42"}, 500),
        Answer(302, b"", {"location": "https://evil.example"}),
        TransportError("https://acme.example did not answer: ReadTimeout."),
    ],
)
def test_userinfo_that_can_not_be_used_connects_nothing(answer: Any, signed_in: Browser, acme: Acme, log: Any) -> None:
    acme.answers[USERINFO_URL] = answer
    assert connect(signed_in).status_code == 502
    assert not Connection.objects.exists()
    assert ACCESS_TOKEN not in log.text


def test_userinfo_is_asked_with_the_new_token_in_the_header(signed_in: Browser, acme: Acme) -> None:
    connect(signed_in)
    (asked,) = acme.asked(USERINFO_URL)
    assert asked.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert not asked.form
    assert ACCESS_TOKEN not in asked.url


ODD_TEXTS = ["\0", "\ud800", "a\x1b[31m", "\u202emoc.elpmaxe", "x" * 10_000, "  ", "\r\n", 7, [], {}]


@pytest.mark.parametrize("value", ODD_TEXTS)
def test_odd_texts_about_an_account_never_end_in_a_500(value: Any, signed_in: Browser, acme: Acme) -> None:
    body = json.dumps({"sub": "42", "preferred_username": value, "name": value, "picture": value})
    acme.answers[USERINFO_URL] = Answer(200, body.encode())
    assert connect(signed_in).status_code == 302
    connection = Connection.objects.get()
    assert len(connection.label) <= 255
    assert connection.label.isprintable()
    assert connection.picture_url == ""
    assert signed_in.get("/connect/").status_code == 200


@pytest.mark.parametrize(
    ("picture", "stored"),
    [
        ("https://acme.example/a.png", "https://acme.example/a.png"),
        ("http://acme.example/a.png", ""),
        ("javascript:alert(1)", ""),
        ("https://acme.example/" + "a" * 5_000, ""),
    ],
)
def test_picture_is_an_https_address_or_none(picture: str, stored: str, signed_in: Browser, acme: Acme) -> None:
    acme.account(picture=picture)
    connect(signed_in)
    assert Connection.objects.get().picture_url == stored


@pytest.mark.parametrize(
    ("method", "offered"), [("client_secret_post", None), (None, "client_secret_post"), ("none", None)]
)
def test_client_authenticates_as_the_settings_or_the_metadata_say(
    method: str | None, offered: str | None, signed_in: Browser, pkce_auth: Any, acme: Acme
) -> None:
    pkce_auth.provider(client_authentication=method)
    if offered:
        pkce_auth.provider(authorize_url=None, token_url=None)
        acme.answers["https://acme.example/.well-known/oauth-authorization-server"] = as_json(
            {
                "issuer": "https://acme.example",
                "authorization_endpoint": "https://acme.example/oauth/authorize",
                "token_endpoint": TOKEN_URL,
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": [offered],
            }
        )
    connect(signed_in)
    (asked,) = acme.asked()
    assert "Authorization" not in asked.headers
    assert asked.form["client_id"] == "us-at-acme"
    assert ("client_secret" in asked.form) == (method != "none")


def test_public_client_sends_its_id_alone(signed_in: Browser, pkce_auth: Any, acme: Acme) -> None:
    pkce_auth.provider(client_secret=None)
    connect(signed_in)
    (asked,) = acme.asked()
    assert asked.form["client_id"] == "us-at-acme"
    assert "Authorization" not in asked.headers


def test_token_of_a_connection_without_expiry_is_never_refreshed(signed_in: Browser, acme: Acme) -> None:
    acme.tokens(expires_in=None)
    connect(signed_in)
    in_a_year = timezone.now() + timedelta(days=365)
    assert Connection.objects.get().access_token(now=in_a_year) == ACCESS_TOKEN
    assert len(acme.asked()) == 1
