"""Both roles in one process: the client role's requests are answered by the server role's views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client as Browser
from django.urls import include, path

from django_pkce_auth.client.policy import ClientPolicy
from django_pkce_auth.resource import require_scopes
from django_pkce_auth.transport import Answer, Transport

CALLBACK = "https://testserver/connect/self/callback"


@require_scopes("read")
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sub": str(request.user.pk), "name": request.user.get_username()})


urlpatterns = [path("api/me", me), path("", include("tests.urls"))]


@dataclass
class InProcess:
    """A transport without a network; it keeps every secret that passed through it."""

    seen: set[str] = field(default_factory=set)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        pairs = [(name, value) for name, value in form or () if value]
        secret = {"code", "code_verifier", "refresh_token", "client_secret"}
        self.seen.update(value for name, value in pairs if name in secret)
        response: Any = Browser().generic(
            method,
            urlsplit(url).path,
            urlencode(pairs),
            content_type="application/x-www-form-urlencoded" if form is not None else "",
            headers=headers,
        )
        members = response.json()
        self.seen.update(members[name] for name in ("access_token", "refresh_token") if name in members)
        return Answer(response.status_code, response.content, dict(response.headers))


class BothRolesPolicy(ClientPolicy):
    current: InProcess

    def transport(self) -> Transport:
        return self.current


def provider(client_id: str, client_secret: str) -> dict[str, Any]:
    """This project as its own provider."""
    return {
        "issuer": "https://testserver",
        "authorize_url": "https://testserver/oauth/authorize",
        "token_url": "https://testserver/oauth/token",
        "userinfo_url": "https://testserver/api/me",
        "client_id": client_id,
        "client_secret": client_secret,
        "scopes": ["read"],
        "login": True,
        "create_users": True,
    }


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def parameter(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]
