"""A guard for what is mounted beside Django: any ASGI application (Starlette, FastAPI, an MCP server)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections
from django.utils import timezone

from .. import conf
from ..protocol import bearer
from ..protocol.errors import INVALID_REQUEST, OAuthError
from .bearer import verify
from .grant import Grant, Refused
from .guard import Requirement, whole_path

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class BearerASGI:
    """Let HTTP and WebSocket connections in only with an access token that has every one of ``scopes``.

    Behind it ``scope["oauth"]`` is the ``Grant``. ``resource`` is as with ``require_scopes``. The answers are those of
    the other guards; a WebSocket is refused before it is accepted.
    """

    def __init__(self, app: Application, *scopes: str, resource: str | None = None) -> None:
        self.app = app
        self.needed = Requirement.of(scopes, resource)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        settings = conf.settings()
        # As Django's own requests have it: while the other server is slow, connections wait each in a thread of their
        # own, and not for each other. Our own database is asked in one thread, which keeps its connection.
        thread = nullcontext() if settings.authorization_server is None else ThreadSensitiveContext()
        try:
            async with thread:
                grant = await _verify(scope, self.needed, settings)
        except Refused as refused:
            await _refuse(refused, scope, send)
            return
        await self.app({**scope, "oauth": grant}, receive, send)


@sync_to_async
def _verify(scope: Scope, needed: Requirement, settings: conf.Settings) -> Grant:
    _close_old_connections()
    try:
        path = whole_path(str(scope.get("path", "")), root=str(scope.get("root_path", "")))
        headers = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        if len(headers) > 1:
            error = OAuthError(INVALID_REQUEST, "The Authorization header is not Bearer and one token.")
            raise Refused(400, error, challenge=bearer.challenge(error))
        return verify(
            headers[0].decode("latin-1") if headers else None,
            scopes=needed.scopes,
            resource=needed.resource_at(path, settings=settings),
            settings=settings,
            now=timezone.now(),
        )
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    """Do what Django does around its own requests, which this is none of."""
    for connection in connections.all(initialized_only=True):
        # Within a transaction the connection is the caller's, as in a test that wraps all of it in one.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


async def _refuse(refused: Refused, scope: Scope, send: Send) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            # The server makes 403 of it, without our headers.
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    body = json.dumps(refused.members()).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refused.headers}
    raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": raw})
    await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})
