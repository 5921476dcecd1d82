"""Providers that misbehave at a refresh, over real sockets: what the caller sees, what is stored, what the log has."""

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

from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from tests.client.hostile import SLUG, TOKENS, Hostile, RealPolicy, as_json, start, stored, tokens
from tests.socket_server import Behaviour, Server, answer, sends

NEW = "hostile-access-token-of-the-refresh"
OLD_REFRESH = TOKENS["refresh_token"]


@pytest.fixture
def hostile(pkce_auth: Any, acme: Any, serve: Callable[[Behaviour], Server], signed_in: Browser) -> Hostile:
    """With Alice's connection, whose access token has run out."""
    provider = start(serve)
    pkce_auth(CLIENT_POLICY="tests.client.hostile.RealPolicy")
    pkce_auth.provider(SLUG, **provider.entry())
    assert provider.connect(signed_in).status_code == 302
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    return provider


def gone(connection: socket.socket) -> None:
    """Take the request, and hang up: the answer is lost."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
    with suppress(OSError):
        for _ in range(60):
            connection.sendall(b" ")
            time.sleep(1)


WEATHER: dict[str, tuple[Behaviour, str]] = {
    "lost answer": (gone, "did not answer"),
    "500": (sends(as_json({"error": "invalid_grant"}, status=b"500 Oops")), "answered 500"),
    "503": (sends(answer(b"", status=b"503 Later")), "answered 503"),
    "html": (sends(answer(b"<html>")), "answered 200 with nothing"),
    "truncated json": (sends(as_json(TOKENS)[:-9], close=True), "did not answer"),
    "gzip bomb": (sends(answer(gzip.compress(b" " * 10**7), b"Content-Encoding: gzip")), "sent a Content-Encoding"),
    "more than a mebibyte": (sends(answer(b" " * 3_000_000)), "sent more than"),
    "307": (sends(answer(b"", b"Location: https://evil.example/", status=b"307 Again")), "answered 307"),
    "invalid_client": (sends(as_json({"error": "invalid_client"}, status=b"401 Who")), "invalid_client"),
    "error with 200": (sends(as_json({"error": "temporarily_unavailable"} | TOKENS)), "temporarily_unavailable"),
    "mac": (tokens(token_type="mac"), "token_type"),
}


@pytest.mark.parametrize("name", WEATHER)
def test_refresh_without_a_usable_answer_changes_nothing(name: str, hostile: Hostile, log: Any) -> None:
    before = Connection.objects.values().get()
    hostile.answers["/token"], logged = WEATHER[name]
    with pytest.raises(ProviderUnavailable):
        stored().access_token()
    assert Connection.objects.values().get() == before
    assert "was not refreshed" in log.text
    assert logged in log.text
    assert str(OLD_REFRESH) not in log.text
    hostile.answers["/token"] = tokens(access_token=NEW)
    assert stored().access_token() == NEW
    assert hostile.asked[-1]["refresh_token"] == OLD_REFRESH


def test_refresh_that_drips_ends_at_the_deadline(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RealPolicy, "deadline", 1.5)
    hostile.answers["/token"] = drips
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        stored().access_token()
    assert time.monotonic() - started < 10
    assert stored().status == "active"


def test_429_tells_its_retry_after_and_is_not_asked_again(hostile: Hostile, log: Any) -> None:
    hostile.answers["/token"] = sends(answer(b"", b"Retry-After: 30", status=b"429 Too Many Requests"))
    before = len(hostile.asked)
    with pytest.raises(ProviderUnavailable) as refused:
        stored().access_token()
    assert refused.value.retry_after == 30
    assert len(hostile.asked) == before + 1
    assert stored().status == "active"
    assert "answered 429" in log.text


def test_refresh_without_a_new_refresh_token_keeps_the_old_one(hostile: Hostile) -> None:
    hostile.answers["/token"] = tokens(access_token=NEW, refresh_token=None)
    assert stored().access_token() == NEW
    assert stored().raw_refresh_token == OLD_REFRESH


def test_refresh_that_gives_the_same_tokens_again_is_believed(hostile: Hostile) -> None:
    hostile.answers["/token"] = tokens(expires_in=600)
    assert stored().access_token() == TOKENS["access_token"]
    after = stored()
    assert after.raw_refresh_token == OLD_REFRESH
    assert after.access_token_expires_at is not None
    assert after.access_token_expires_at > timezone.now() + timedelta(seconds=500)
    before = len(hostile.asked)
    assert stored().access_token() == TOKENS["access_token"]
    assert len(hostile.asked) == before


def test_refresh_with_narrower_scope_stores_it(hostile: Hostile) -> None:
    hostile.answers["/token"] = tokens(access_token=NEW, scope="photos")
    assert stored().access_token() == NEW
    assert stored().scope == "photos"


def test_invalid_grant_at_a_refresh_needs_the_user(hostile: Hostile, signed_in: Browser, log: Any) -> None:
    hostile.answers["/token"] = sends(as_json({"error": "invalid_grant"}, status=b"400 Bad Request"))
    with pytest.raises(ReconnectRequired):
        stored().access_token()
    assert stored().status == "needs_reconnect"
    assert "needs its user to reconnect" in log.text
    assert "Connect again" in signed_in.get("/connect/").content.decode()
    before = len(hostile.asked)
    with pytest.raises(ReconnectRequired):
        stored().access_token()
    assert len(hostile.asked) == before


@pytest.mark.parametrize("code", ["bad_refresh_token", "invalid_refresh_token"])
def test_own_words_for_a_dead_refresh_token_need_the_user(hostile: Hostile, code: str) -> None:
    """GitHub's and Slack's, both with 200."""
    hostile.answers["/token"] = sends(as_json({"ok": False, "error": code}))
    with pytest.raises(ReconnectRequired):
        stored().access_token()
    assert stored().status == "needs_reconnect"


def test_disconnect_from_one_who_does_not_answer(hostile: Hostile, signed_in: Browser, log: Any) -> None:
    hostile.answers["/revoke"] = gone
    page = signed_in.post("/connect/", {"connection": stored().pk}).content.decode()
    assert "did not confirm" in page
    assert not Connection.objects.exists()
    assert "could not be told" in log.text
    assert str(OLD_REFRESH) not in log.text
