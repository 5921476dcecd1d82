"""A provider on a real socket, which answers byte by byte what a test tells it to; the client side is all there."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from django.test import Client as Browser

from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.policy import ClientPolicy
from django_pkce_auth.transport import HttpTransport, Transport
from tests.client.acme import CODE, begin, come_back
from tests.socket_server import Behaviour, Server, answer, sends

SLUG = "hostile"
TOKENS = {
    "access_token": "hostile-access-token-0123456789abcdef",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "hostile-refresh-token-0123456789abcdef",
    "scope": "photos profile",
}
ACCOUNT = {"sub": "42", "preferred_username": "mallory"}
CLIENT_SECRET = "a-secret-that-the-hostile-one-gave-to-us"


class RealPolicy(ClientPolicy):
    """The real transport, in less of a hurry than a busy machine."""

    deadline = 5.0

    def transport(self) -> Transport:
        return HttpTransport(deadline=self.deadline)


def as_json(members: object, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return answer(json.dumps(members).encode(), b"Content-Type: application/json", *headers, status=status)


def tokens(**changes: object) -> Behaviour:
    """The usual tokens, changed; a member that is None is left out."""
    return sends(as_json({name: value for name, value in (TOKENS | changes).items() if value is not None}))


@dataclass
class Hostile:
    """Its endpoints by path; ``asked`` holds the forms that reached ``/token``."""

    server: Server = field(init=False)
    answers: dict[str, Behaviour] = field(
        default_factory=lambda: {"/token": tokens(), "/me": sends(as_json(ACCOUNT)), "/revoke": sends(answer(b""))}
    )

    def __call__(self, connection: socket.socket) -> None:
        path = self.server.requests[-1].split(b" ")[1].decode()
        self.answers.get(path, sends(answer(b"", status=b"404 Not Found")))(connection)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def asked(self) -> list[dict[str, str]]:
        sent = [request for request in self.server.requests if request.startswith(b"POST /token ")]
        return [dict(parse_qsl(request.partition(b"\r\n\r\n")[2].decode())) for request in sent]

    def entry(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorize_url": f"{self.issuer}/authorize",
            "token_url": f"{self.issuer}/token",
            "revoke_url": f"{self.issuer}/revoke",
            "userinfo_url": f"{self.issuer}/me",
            "api_base_url": f"{self.issuer}/api/",
            "client_id": "us",
            "client_secret": CLIENT_SECRET,
            "scopes": ["photos", "profile"],
        }

    def publish(self) -> dict[str, Any]:
        """Publish metadata that promises ``iss``; return the entry of the settings that goes by it."""
        members = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.answers["/.well-known/oauth-authorization-server"] = sends(as_json(members))
        return {"authorize_url": None, "token_url": None}

    def connect(self, browser: Browser, **changes: str | None) -> Any:
        """Begin, and come back with the answer of a good provider, changed; None leaves a parameter out."""
        good: dict[str, str | None] = {"code": CODE, "state": begin(browser, provider=SLUG)["state"]}
        sent = {name: value for name, value in (good | changes).items() if value is not None}
        return come_back(browser, provider=SLUG, **sent)


def start(serve: Callable[[Behaviour], Server]) -> Hostile:
    hostile = Hostile()
    hostile.server = serve(hostile)
    return hostile


def stored() -> Connection:
    return Connection.objects.get(provider=SLUG)
