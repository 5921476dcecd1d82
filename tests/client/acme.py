"""Acme, a provider in this process whose answers each test scripts, and the user's way through it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client as Browser

from django_pkce_auth.client.policy import ClientPolicy
from django_pkce_auth.transport import Answer, Transport

TOKEN_URL = "https://acme.example/oauth/token"
USERINFO_URL = "https://acme.example/api/me"
CODE = "a-code-from-acme-0123456789abcdef"
ACCESS_TOKEN = "acme-access-token-0123456789abcdef"
REFRESH_TOKEN = "acme-refresh-token-0123456789abcdef"
TOKENS = {
    "access_token": ACCESS_TOKEN,
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": REFRESH_TOKEN,
    "scope": "photos profile",
}
ACCOUNT = {"sub": "42", "preferred_username": "alice@acme", "email": "alice@example.com"}


@dataclass(frozen=True)
class Sent:
    """A request that reached the provider."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


Scripted = Answer | Exception | Callable[[Sent], Answer]


def as_json(members: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(members).encode())


def error(code: str, description: str = "", status: int = 400) -> Answer:
    return as_json({"error": code, "error_description": description}, status)


@dataclass
class Acme:
    """A transport that answers by URL, and keeps what it was sent."""

    answers: dict[str, Scripted] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        request = Sent(method, url, headers or {}, {name: value for name, value in form or () if value})
        self.sent.append(request)
        scripted = self.answers.get(url, Answer(404, b"nothing here"))
        if isinstance(scripted, Exception):
            raise scripted
        return scripted(request) if callable(scripted) else scripted

    def tokens(self, **changes: object) -> None:
        """Answer token requests with the usual tokens, changed; a member that is None is left out."""
        members = TOKENS | changes
        self.answers[TOKEN_URL] = as_json({name: value for name, value in members.items() if value is not None})

    def account(self, **changes: object) -> None:
        members = ACCOUNT | changes
        self.answers[USERINFO_URL] = as_json({name: value for name, value in members.items() if value is not None})

    def asked(self, url: str = TOKEN_URL) -> list[Sent]:
        return [request for request in self.sent if request.url == url]


class InProcessPolicy(ClientPolicy):
    """The default policy over whatever transport the running test put here."""

    current: Transport

    def transport(self) -> Transport:
        return self.current


def begin(
    browser: Browser, *, provider: str = "acme", login: bool = False, next: str = "", **more: Any
) -> dict[str, str]:
    """Press the button; return the parameters of the authorization request."""
    path = f"/connect/{provider}/login" if login else f"/connect/{provider}/"
    return parameters(browser.post(path, {"next": next} if next else {}, **more))


def parameters(response: Any) -> dict[str, str]:
    assert response.status_code == 303, response.content
    return dict(parse_qsl(urlsplit(response["Location"]).query))


def come_back(browser: Browser, *, provider: str = "acme", **answer: str) -> Any:
    """Open the callback with what the provider put into its redirect."""
    return browser.get(f"/connect/{provider}/callback?{urlencode(answer)}")


def connect(browser: Browser, *, provider: str = "acme", **options: Any) -> Any:
    """Begin, agree at the provider, come back."""
    return come_back(browser, provider=provider, code=CODE, state=begin(browser, provider=provider, **options)["state"])
