"""The fake provider over real HTTP, for work on one's own machine: ``manage.py pkce_fake_provider``."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from .provider import CLIENT_ID, FakeProvider

MAX_BODY_BYTES = 65_536
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fake provider</title>
<h1>Fake provider</h1><p>{client} asks for: {scope}</p><form method="post">
<p><label>Subject <input name="sub" value="fake-1"></label></p>
<p><label>Name <input name="name" value="Fay Ke"></label></p>
<p><label>E-mail address, verified there; may be empty <input name="email"></label></p>
<p><button name="decision" value="deny">Deny</button> <button name="decision" value="approve">Approve</button></p>
</form></html>"""

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def serve(port: int) -> WSGIServer:
    """Return a server on 127.0.0.1, not yet running; port 0 takes a free one."""
    server = make_server("127.0.0.1", port, lambda environ, start: [], handler_class=_Quiet)
    provider = FakeProvider(issuer=f"http://127.0.0.1:{server.server_port}")
    server.set_app(lambda environ, start: _answer(provider, environ, start))
    server.provider = provider  # type: ignore[attr-defined]
    return server


def _answer(provider: FakeProvider, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
    length = min(int(environ.get("CONTENT_LENGTH") or 0), MAX_BODY_BYTES)
    form = dict(parse_qsl(environ["wsgi.input"].read(length).decode("utf-8", "replace")))
    if environ["PATH_INFO"] == "/authorize":
        return _authorize(provider, environ, form, start)
    headers = {"Authorization": environ["HTTP_AUTHORIZATION"]} if "HTTP_AUTHORIZATION" in environ else {}
    url = f"{provider.issuer}{environ['PATH_INFO']}"
    answer = provider.request(environ["REQUEST_METHOD"], url, headers=headers, form=list(form.items()))
    start(_status(answer.status), [("Content-Type", "application/json"), ("Content-Length", str(len(answer.body)))])
    return [answer.body]


def _authorize(
    provider: FakeProvider, environ: dict[str, Any], form: dict[str, str], start: StartResponse
) -> Iterable[bytes]:
    query = environ.get("QUERY_STRING", "")
    if environ["REQUEST_METHOD"] == "POST":
        provider.userinfo = {"sub": form.get("sub", ""), "name": form.get("name", "")}
        if email := form.get("email"):
            provider.userinfo |= {"email": email, "email_verified": True}
        error = "" if form.get("decision") == "approve" else "access_denied"
        try:
            location = provider.authorize(f"{provider.issuer}/authorize?{query}", error=error)
        except (AssertionError, KeyError) as refused:
            return _text(start, 400, f"The link is not what a strict server takes: {refused}")
        start(_status(303), [("Location", location), ("Content-Length", "0")])
        return []
    scope = dict(parse_qsl(query)).get("scope", "")
    return _text(start, 200, PAGE.format(client=CLIENT_ID, scope=html.escape(scope)), "text/html; charset=utf-8")


def _text(start: StartResponse, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> Iterable[bytes]:
    body = text.encode()
    start(_status(status), [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests: their addresses hold codes."""
