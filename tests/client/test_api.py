"""``connection.client()``: the provider's API as the user, and the token nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.api import ForeignOrigin, InsufficientScope
from django_pkce_auth.client.errors import ConnectError, ReconnectRequired
from django_pkce_auth.client.models import Connection
from tests.client.acme import ACCESS_TOKEN, TOKEN_URL, Acme, error

NEW_ACCESS = "new-access-token-0123456789"


@dataclass
class Api:
    """A real HTTP server; ``answers`` are (status, headers), used in their order, then 200."""

    origin: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seen: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def serve_api() -> Iterator[Any]:
    servers = []

    def start() -> Api:
        api = Api()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.seen.append((self.path, self.headers.get("Authorization")))
                status, headers = api.answers.pop(0) if api.answers else (200, {})
                self.send_response(status)
                for name, value in {"Content-Length": "2", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        api.origin = f"http://127.0.0.1:{server.server_port}"
        return api

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def api(serve_api: Any, pkce_auth: Any) -> Api:
    api: Api = serve_api()
    pkce_auth.provider(api_base_url=f"{api.origin}/v1/")
    return api


def test_call_carries_the_token_to_the_providers_api(connection: Connection, api: Api) -> None:
    with connection.client() as client:
        assert client.get("photos").status_code == 200
    assert api.seen == [("/v1/photos", f"Bearer {ACCESS_TOKEN}")]


def test_due_token_is_refreshed_before_the_call(connection: Connection, api: Api, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS)
    Connection.objects.update(access_token_expires_at=timezone.now())
    with Connection.objects.get().client() as client:
        client.get("photos")
    assert api.seen == [("/v1/photos", f"Bearer {NEW_ACCESS}")]


def test_refused_token_is_replaced_once(connection: Connection, api: Api, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS)
    api.answers = [(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})]
    with connection.client() as client:
        assert client.get("photos").status_code == 200
    assert [token for _, token in api.seen] == [f"Bearer {ACCESS_TOKEN}", f"Bearer {NEW_ACCESS}"]
    assert Connection.objects.get().raw_access_token == NEW_ACCESS


def test_api_that_refuses_every_token_is_asked_twice_and_no_more(connection: Connection, api: Api, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS)
    api.answers = [(401, {}), (401, {}), (401, {})]
    with connection.client() as client:
        assert client.get("photos").status_code == 401
    assert len(api.seen) == 2


def test_refused_token_and_refresh_token_need_the_user(connection: Connection, api: Api, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = error("invalid_grant")
    api.answers = [(401, {})]
    with connection.client() as client, pytest.raises(ReconnectRequired):
        client.get("photos")
    assert Connection.objects.get().status == "needs_reconnect"


def test_missing_scope_is_named_rfc6750_3_1(connection: Connection, api: Api) -> None:
    api.answers = [(403, {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="photos write admin"'})]
    with connection.client() as client, pytest.raises(InsufficientScope) as refused:
        client.get("photos")
    assert refused.value.missing == ("write", "admin")


@pytest.mark.parametrize("scope", ["r\xe9ad", "x" * 101, " ".join(map(str, range(101)))])
def test_missing_scope_that_can_not_be_read_is_not_named(scope: str, connection: Connection, api: Api) -> None:
    api.answers = [(403, {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'})]
    with connection.client() as client, pytest.raises(InsufficientScope) as refused:
        client.get("photos")
    assert refused.value.missing == ()


@pytest.mark.parametrize("path", ["photos?q=a|b", 'photos?q={"of":"me"}', "photos^1", "photos?f[of]=me"])
def test_address_that_is_sent_as_it_is_carries_the_token(path: str, connection: Connection, api: Api) -> None:
    with connection.client() as client:
        assert client.get(path).status_code == 200
    assert api.seen[0][1] == f"Bearer {ACCESS_TOKEN}"


def test_origin_of_the_settings_may_be_written_in_any_way(connection: Connection, api: Api, pkce_auth: Any) -> None:
    pkce_auth.provider(api_base_url=f"{api.origin.replace('127.0.0.1', 'LocalHost')}/v1/")
    with connection.client() as client:
        assert client.get("photos").status_code == 200


def test_other_refusals_are_the_callers_to_read(connection: Connection, api: Api) -> None:
    api.answers = [(403, {})]
    with connection.client() as client:
        assert client.get("photos").status_code == 403


def test_token_is_not_sent_to_another_origin(connection: Connection, api: Api, serve_api: Any) -> None:
    stranger = serve_api()
    with connection.client() as client, pytest.raises(ForeignOrigin, match="not sent anywhere else"):
        client.get(f"{stranger.origin}/photos")
    assert stranger.seen == []


@pytest.mark.parametrize("follow", [True, False])
def test_token_does_not_follow_a_redirect_to_another_origin(
    follow: bool, connection: Connection, api: Api, serve_api: Any
) -> None:
    stranger = serve_api()
    api.answers = [(307, {"Location": f"{stranger.origin}/photos"})]
    with connection.client() as client:
        client.get("photos", follow_redirects=follow)
    assert stranger.seen == ([("/photos", None)] if follow else [])


def test_provider_without_an_api_address_is_a_clear_error(connection: Connection) -> None:
    with pytest.raises(ConnectError, match="no 'api_base_url'"):
        connection.client()


def test_caller_can_set_time_outs_but_not_where_the_token_goes(connection: Connection, api: Api) -> None:
    with connection.client(timeout=1.5, base_url="https://elsewhere.example", headers={"X-App": "ours"}) as client:
        assert client.timeout.read == 1.5
        assert str(client.base_url) == f"{api.origin}/v1/"
        assert client.headers["X-App"] == "ours"


def test_use_is_noted_at_most_once_in_five_minutes(connection: Connection, api: Api) -> None:
    def last_used_at_after_a_call() -> Any:
        with TestCase.captureOnCommitCallbacks(execute=True), Connection.objects.get().client() as client:
            client.get("photos")
        return Connection.objects.get().last_used_at

    first = last_used_at_after_a_call()
    assert first is not None
    assert last_used_at_after_a_call() == first
    Connection.objects.update(last_used_at=timezone.now() - timedelta(minutes=6))
    assert last_used_at_after_a_call() > first


def test_use_that_can_not_be_noted_fails_no_call(
    connection: Connection, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_rows: Any, **_values: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(refresh, "_write", fail)
    with TestCase.captureOnCommitCallbacks(execute=True), connection.client() as client:
        assert client.get("photos").status_code == 200


def test_async_client_replaces_a_refused_token(connection: Connection, api: Api, acme: Acme) -> None:
    acme.tokens(access_token=NEW_ACCESS)
    api.answers = [(401, {})]

    async def call() -> int:
        assert await connection.aaccess_token() == ACCESS_TOKEN
        async with connection.async_client() as client:
            return int((await client.get("photos")).status_code)

    assert async_to_sync(call)() == 200
    assert [token for _, token in api.seen] == [f"Bearer {ACCESS_TOKEN}", f"Bearer {NEW_ACCESS}"]
