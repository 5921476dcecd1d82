"""The guards over real sockets: Django and Starlette in one uvicorn process, and bytes that no client library sends."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, get_ident
from typing import Any

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import override_settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from django_pkce_auth.resource import BearerASGI
from django_pkce_auth.testing import issue_access_token

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., tuple[int, str]]


def who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.scope["oauth"].user.get_username())


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Serve both, and return what sends a request with the given header lines."""
    # Django leaves connections to a database in memory open; those of the server's threads would outlive them.
    home = get_ident()
    monkeypatch.setattr(DatabaseWrapper, "is_in_memory_db", lambda self: get_ident() == home)
    tools = BearerASGI(Starlette(routes=[Route("/who", who)]), "read", "profile")
    routes = [Mount("/tools", tools), Mount("/", get_asgi_application())]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off"))
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        override_settings(ROOT_URLCONF="tests.resource.guarded", ALLOWED_HOSTS=["127.0.0.1"]),
    ):
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        place = listening.getsockname()

        def send(path: str, *lines: bytes) -> tuple[int, str]:
            head = [f"GET {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", b"Connection: close", *lines, b"", b""]
            with socket.create_connection(place, timeout=20) as caller:
                caller.sendall(b"\r\n".join(head))
                answer = b"".join(iter(lambda: caller.recv(65536), b"")).decode("latin-1")
            return int(answer.split()[1]), answer

        try:
            yield send
        finally:
            server.should_exit = True
            thread.join()


PATHS = ["/tools/who", "/guarded/function", "/guarded/async-function", "/guarded/drf", "/guarded/ninja/async"]


@pytest.mark.parametrize("path", PATHS)
def test_odd_headers_are_refused_and_never_an_error(ask: Ask, alice: Any, path: str) -> None:
    good = f"Authorization: Bearer {issue_access_token(alice, ['read', 'profile'])}".encode()
    assert ask(path, good)[0] == 200
    assert ask(path, good.replace(b"Authorization: Bearer", b"aUTHORIZATION:   bEARER"))[0] == 200
    for status, *lines in [
        (401,),
        (400, good, good),
        (400, good, b"Authorization: Bearer other"),
        (400, b"Authorization: Bearer"),
        (400, b"Authorization: Bearer \xff\xfe"),
        (400, b"Authorization: Bearer " + b"\xc3\xa9" * 2000),
        (401, b"Authorization: Bearer " + b"x" * 30_000),
        (400, b"Authorization: Bearer a,b"),
        (401, b"Authorization: \x80"),
        (401, b"X-Authorization: Bearer x", b"Proxy-Authorization: Bearer x"),
    ]:
        found, answer = ask(path, *lines)
        assert found == status, (lines, answer)
        assert "location:" not in answer.lower()


def test_many_at_once_are_let_in(ask: Ask, alice: Any) -> None:
    good = f"Authorization: Bearer {issue_access_token(alice, ['read', 'profile'])}".encode()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: ask(PATHS[number % len(PATHS)], good), range(60)))
    assert {status for status, _ in answers} == {200}
    assert all("alice" in answer for _, answer in answers)
