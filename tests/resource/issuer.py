"""Another project's authorization server, as far as a resource server sees it: a real socket, keys and answers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from django_pkce_auth.jose import registry

KEYS: dict[str, Any] = {
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
    "PS256": RSAKey.generate_key(2048),
    "RS256": RSAKey.generate_key(2048),
}


class Issuer:
    """What it publishes and answers; ``asked`` holds the path of every request that reached it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.keys: list[dict[str, Any]] = [self.public(name) for name in KEYS]
        self.answers: dict[str, tuple[int, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}

    def public(self, algorithm: str, **members: Any) -> dict[str, Any]:
        return {**KEYS[algorithm].as_dict(private=False), "kid": algorithm, "alg": algorithm, "use": "sig"} | members

    @property
    def settings(self) -> dict[str, str]:
        return {"issuer": self.url, "verification": "jwks"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token for this project; a member that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "https://testserver",
            "sub": "7",
            "client_id": "app-there",
            "scope": "read",
            "iat": now,
            "exp": now + 600,
            "jti": "x",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, algorithm: str = "ES256", *, key: Any = None, header: Any = None, **changes: Any) -> str:
        head = {"alg": algorithm, "typ": "at+jwt", "kid": algorithm} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(
            head, self.claims(**changes), key or KEYS[algorithm], registry=registry((head["alg"],)), default_type=None
        )

    def answer(self, path: str, body: bytes, authorization: str | None) -> tuple[int, Any]:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/oauth-authorization-server":
            return 200, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "introspection_endpoint": f"{self.url}/introspect",
            }
        if path == "/jwks":
            return 200, {"keys": self.keys}
        if path == "/introspect":
            form = dict(parse_qsl(body.decode()))
            self.forms.append(form)
            self.authorizations.append(authorization)
            return 200, self.tokens.get(form["token"], {"active": False})
        return 404, {}


@contextmanager
def running() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            status, members = issuer.answer(self.path, body, self.headers["Authorization"])
            raw = members if isinstance(members, bytes) else json.dumps(members).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # of more, the kernel lets one wait for a second

    server = Listening(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tampered(token: str, **claims: Any) -> str:
    """Return the token with other claims under the old signature."""
    header, payload, signature = token.split(".")
    members = json.loads(base64.urlsafe_b64decode(payload + "==")) | claims
    changed = base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"
