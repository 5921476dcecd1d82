"""Providers that misbehave, over real sockets: what the user sees, what is stored, and what the log has.

``docs/hostile-providers.md`` says it of each in words. The finer cases, with scripted answers in place of sockets, are
in ``test_provider_answers.py``, ``test_callback_attacks.py`` and ``test_access_token.py``.
"""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt, Connection
from tests.client.acme import CODE
from tests.client.hostile import CLIENT_SECRET, SLUG, TOKENS, Hostile, RealPolicy, as_json, start, stored, tokens
from tests.socket_server import Behaviour, Server, answer, sends

MARK = "UNMISTAKABLE"


@pytest.fixture
def hostile(pkce_auth: Any, acme: Any, serve: Callable[[Behaviour], Server]) -> Hostile:
    provider = start(serve)
    pkce_auth(CLIENT_POLICY="tests.client.hostile.RealPolicy")
    pkce_auth.provider(SLUG, **provider.entry())
    return provider


@pytest.fixture
def nothing(log: Any, hostile: Hostile) -> Callable[..., None]:
    """Check that nothing came of an answer: a friendly page, no row, no secret and none of the answer's words in it."""

    def check(response: Any, *, status: int, says: str, logged: str) -> None:
        page = response.content.decode()
        assert response.status_code == status
        assert says in page
        assert "Start again" in page
        assert MARK not in page
        assert not Connection.objects.exists()
        assert ConnectAttempt.objects.get().completed_at is None
        assert "Connect attempt ended" in log.text
        assert logged in log.text
        assert_no_secret(log, hostile)

    return check


def assert_no_secret(log: Any, hostile: Hostile) -> None:
    sent = [form.get(name) for form in hostile.asked for name in ("code_verifier", "refresh_token")]
    for secret in (CODE, CLIENT_SECRET, TOKENS["access_token"], TOKENS["refresh_token"], *filter(None, sent)):
        assert str(secret) not in log.text


# The answer that the browser brings.


def test_wrong_iss(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    response = hostile.connect(signed_in, iss="https://other.example", error_description=MARK)
    nothing(response, status=400, says="can&#x27;t be used", logged="the answer names another issuer")
    assert ConnectAttempt.objects.get().taken_at is None
    assert not hostile.asked


def test_missing_iss_of_one_who_promises_it(signed_in: Browser, hostile: Hostile, nothing: Any, pkce_auth: Any) -> None:
    pkce_auth.provider(SLUG, **hostile.publish())
    response = hostile.connect(signed_in)
    nothing(response, status=400, says="can&#x27;t be used", logged="the answer names no issuer")
    assert ConnectAttempt.objects.get().taken_at is None
    assert not hostile.asked
    # With it, the same provider is believed.
    ConnectAttempt.objects.all().delete()
    assert hostile.connect(signed_in, iss=hostile.issuer).status_code == 302


def test_altered_state(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    response = hostile.connect(signed_in, state="A" * 43)
    nothing(response, status=400, says="Please start again", logged="no attempt has this state")
    assert ConnectAttempt.objects.get().taken_at is None
    assert not hostile.asked


def test_missing_state(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    response = hostile.connect(signed_in, state=None)
    nothing(response, status=400, says="Please start again", logged="the answer has no state")
    assert ConnectAttempt.objects.get().taken_at is None
    assert not hostile.asked


def test_denial(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    response = hostile.connect(signed_in, code=None, error="access_denied", error_description=MARK)
    nothing(response, status=200, says="You did not allow access", logged="access_denied")
    assert not hostile.asked


def test_error_answer(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    response = hostile.connect(signed_in, code=None, error="server_error", error_description=MARK)
    nothing(response, status=400, says="can&#x27;t be used", logged=f"server_error: {MARK}")
    assert not hostile.asked


# The answer of the token endpoint.


def test_error_with_200(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    hostile.answers["/token"] = sends(as_json({"error": "invalid_grant", "error_description": MARK} | TOKENS))
    response = hostile.connect(signed_in)
    nothing(response, status=400, says="can&#x27;t be used", logged=f"invalid_grant: {MARK}")


def test_error_with_400(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    refusal = as_json({"error": "invalid_client", "error_description": MARK}, status=b"400 Bad Request")
    hostile.answers["/token"] = sends(refusal)
    response = hostile.connect(signed_in)
    nothing(response, status=400, says="can&#x27;t be used", logged=f"invalid_client: {MARK}")


def test_html(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    hostile.answers["/token"] = sends(answer(f"<!doctype html><h1>{MARK}</h1>".encode(), b"Content-Type: text/html"))
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="answered 200 with nothing")


def test_truncated_json(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    whole = as_json(TOKENS)
    hostile.answers["/token"] = sends(whole[:-20], close=True)
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="RemoteProtocolError")


def test_json_that_is_cut_off_though_the_answer_is_whole(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    hostile.answers["/token"] = sends(answer(b'{"access_token": "' + MARK.encode()))
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="answered 200 with nothing")


def test_json_of_100_megabytes(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    megabyte, sent = b'"' + b"x" * 999_997 + b'",', []

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000001\r\n\r\n[")
        with suppress(OSError):
            for _ in range(100):
                connection.sendall(megabyte)
                sent.append(len(megabyte))

    hostile.answers["/token"] = behave
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="sent more than 1048576 bytes")
    # We hung up; what went out is ours and the operating system's buffers.
    assert sum(sent) < 50_000_000


def test_gzip_bomb(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    bomb = gzip.compress(b'{"access_token": "' + b"0" * 50_000_000 + b'"}')
    assert len(bomb) < 100_000
    hostile.answers["/token"] = sends(answer(bomb, b"Content-Encoding: gzip"))
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="sent a Content-Encoding")
    request = hostile.server.requests[-1]
    assert b"accept-encoding: identity" in request.lower()


def test_body_that_drips_a_byte_a_second(
    signed_in: Browser, hostile: Hostile, nothing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RealPolicy, "deadline", 2.5)

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
        with suppress(OSError):
            for _ in range(60):
                connection.sendall(b" ")
                time.sleep(1)

    hostile.answers["/token"] = behave
    started = time.monotonic()
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="Timeout")
    assert 2 < time.monotonic() - started < 10


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Again", b"308 Moved"])
def test_redirect_to_another_origin(
    status: bytes, signed_in: Browser, hostile: Hostile, nothing: Any, serve: Callable[[Behaviour], Server]
) -> None:
    other = serve(tokens())
    location = f"Location: http://127.0.0.1:{other.port}/token".encode()
    hostile.answers["/token"] = sends(answer(b"", location, status=status))
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged=f"answered {status[:3].decode()}")
    assert other.accepted == 0


def test_token_of_type_mac(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    hostile.answers["/token"] = tokens(token_type="mac")
    nothing(hostile.connect(signed_in), status=400, says="can&#x27;t be used", logged="token_type")


def test_429_with_retry_after(signed_in: Browser, hostile: Hostile, nothing: Any) -> None:
    hostile.answers["/token"] = sends(answer(b"", b"Retry-After: 30", status=b"429 Too Many Requests"))
    nothing(hostile.connect(signed_in), status=502, says="did not answer", logged="answered 429")
    assert len(hostile.asked) == 1


# Tokens that are odd, and good all the same.


def seconds_left() -> int | None:
    until = stored().access_token_expires_at
    return None if until is None else round((until - timezone.now()).total_seconds(), -1)


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        pytest.param({"expires_in": None, "expires": 1800}, 1800, id="expires in place of expires_in"),
        pytest.param({"expires_in": "7200"}, 7200, id="a string"),
        pytest.param({"expires_in": -1}, None, id="negative"),
        pytest.param({"expires_in": None}, None, id="absent"),
    ],
)
def test_lifetime_of_any_kind(
    members: dict[str, Any], seconds: int | None, signed_in: Browser, hostile: Hostile, log: Any
) -> None:
    hostile.answers["/token"] = tokens(**members)
    assert hostile.connect(signed_in).status_code == 302
    assert seconds_left() == seconds
    assert_no_secret(log, hostile)


@pytest.mark.parametrize("kind", [pytest.param(None, id="missing"), "bearer"])
def test_token_type_missing_or_in_lower_case(kind: str | None, signed_in: Browser, hostile: Hostile) -> None:
    hostile.answers["/token"] = tokens(token_type=kind)
    assert hostile.connect(signed_in).status_code == 302
    assert stored().access_token() == TOKENS["access_token"]


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        pytest.param(None, "photos profile", id="no scope"),
        pytest.param("photos", "photos", id="narrower"),
        pytest.param("photos profile admin", "photos profile admin", id="wider"),
    ],
)
def test_scope_that_differs(scope: str | None, kept: str, signed_in: Browser, hostile: Hostile) -> None:
    hostile.answers["/token"] = tokens(scope=scope)
    assert hostile.connect(signed_in).status_code == 302
    assert stored().scope == kept


def test_tokens_of_12000_characters(signed_in: Browser, hostile: Hostile, log: Any) -> None:
    long_access, long_refresh = "a" * 12_000, "r" * 12_000
    hostile.answers["/token"] = tokens(access_token=long_access, refresh_token=long_refresh)
    assert hostile.connect(signed_in).status_code == 302
    assert stored().access_token() == long_access
    # They go out whole again: to the API, and at the refresh.
    hostile.answers["/api/photos"] = sends(answer(b"[]"))
    with stored().client() as client:
        assert client.get("photos").status_code == 200
    assert f"Bearer {long_access}\r\n".encode() in hostile.server.requests[-1]
    past = timezone.now() - timedelta(seconds=1)
    Connection.objects.update(access_token_expires_at=past)
    hostile.answers["/token"] = tokens()
    assert stored().access_token() == TOKENS["access_token"]
    assert hostile.asked[-1]["refresh_token"] == long_refresh
    assert long_access not in log.text
    assert long_refresh not in log.text
