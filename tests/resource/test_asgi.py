"""``BearerASGI``: WebSockets, lifespan, mounted paths (ASGI 3)."""

from __future__ import annotations

import asyncio
from threading import Barrier
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.test import override_settings

from django_pkce_auth.resource import BearerASGI
from django_pkce_auth.testing import issue_access_token
from tests.resource.issuer import Issuer


class Mounted:
    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)


def connect(scope: dict[str, Any], *, needed: tuple[str, ...] = ("read",)) -> tuple[Mounted, list[Any]]:
    app, sent = Mounted(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read before the token was")

    async_to_sync(BearerASGI(app, *needed))({"headers": [], **scope}, receive, send)
    return app, sent


def header(raw: str) -> list[tuple[bytes, bytes]]:
    return [(b"Authorization", f"Bearer {raw}".encode())]


def test_lifespan_goes_through() -> None:
    app, sent = connect({"type": "lifespan"})
    assert len(app.scopes) == 1
    assert sent == []


def test_challenge_lists_the_scopes_of_the_resource_but_not_offline_access(db: None, settings: Any) -> None:
    listed = {"/mcp": {"name": "Tools", "scopes": ["read", "offline_access"]}}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": listed}
    _, sent = connect({"type": "http", "method": "GET", "path": "/mcp"}, needed=())
    metadata = b"https://testserver/.well-known/oauth-protected-resource/mcp"
    assert dict(sent[0]["headers"])[b"www-authenticate"] == b'Bearer scope="read", resource_metadata="%s"' % metadata


def test_websocket_with_a_token_sees_its_grant(alice: Any) -> None:
    app, sent = connect({"type": "websocket", "path": "/", "headers": header(issue_access_token(alice, ["read"]))})
    assert app.scopes[0]["oauth"].user == alice
    assert sent == []


def test_websocket_without_a_token_is_closed_before_it_is_accepted(db: None) -> None:
    app, sent = connect({"type": "websocket", "path": "/"})
    assert app.scopes == []
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_websocket_is_denied_with_the_challenge_where_the_server_can(db: None) -> None:
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    app, sent = connect({"type": "websocket", "path": "/", "extensions": extensions})
    assert app.scopes == []
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 401
    assert b'Bearer scope="read"' in dict(sent[0]["headers"])[b"www-authenticate"]


@pytest.mark.parametrize(
    "place", [{"path": "/tools/x"}, {"path": "/x", "root_path": "/tools"}, {"path": "/tools/x", "root_path": "/tools"}]
)
def test_resource_is_that_of_the_whole_path(place: dict[str, str], alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        app, sent = connect({"type": "http", "method": "GET", "headers": header(raw), **place})
        assert app.scopes == []
        assert sent[0]["status"] == 401
        app, _ = connect({"type": "http", "method": "GET", "headers": header(raw), "path": "/x"})
        assert len(app.scopes) == 1


@pytest.mark.django_db(transaction=True)
def test_guard_runs_on_a_running_loop(alice: Any) -> None:
    raw, app = issue_access_token(alice, ["read"]), Mounted()

    async def main() -> None:
        await BearerASGI(app, "read")({"type": "http", "path": "/", "headers": header(raw)}, None, None)  # type: ignore[arg-type]

    asyncio.run(main())
    assert app.scopes[0]["oauth"].scopes == ("read",)


def test_connections_do_not_wait_for_each_other_while_the_issuer_is_slow(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, all_of_them = issuer.answer, Barrier(10)

    def once_all_have_asked(*request: Any) -> Any:
        all_of_them.wait(4)
        return answer(*request)

    entry = {
        "issuer": issuer.url,
        "verification": "introspection",
        "introspection_url": f"{issuer.url}/introspect",
        "client_id": "api",
        "client_secret": "a-secret-that-the-issuer-gave-to-us-01234567",
    }

    async def one(number: int) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": header(f"token-{number}")}
        await BearerASGI(Mounted(), "read")(scope, None, send)  # type: ignore[arg-type]
        return int(sent[0]["status"])

    async def main() -> list[int]:
        await one(10)  # makes the pool of connections
        monkeypatch.setattr(issuer, "answer", once_all_have_asked)
        return await asyncio.gather(*(one(number) for number in range(10)))

    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"AUTHORIZATION_SERVER": entry}):
        assert asyncio.run(main()) == [401] * 10
    assert len(issuer.forms) == 11


def test_scopes_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="scopes one by one"):
        BearerASGI(Mounted(), "read write")
