"""The flow as a client program and a browser walk it, against the views in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client as Browser

from django_pkce_auth.protocol.authentication_methods import CLIENT_SECRET_BASIC, NONE
from django_pkce_auth.protocol.authorization import AuthorizationRequest
from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.protocol.pkce import code_challenge
from django_pkce_auth.server.models import Client

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
REDIRECT_URI = "https://app.example/callback?kept=1"
STATE = "af0ifjsldkj"


@dataclass
class App:
    """A registered client program: it makes the link, and sends the token requests."""

    client: Client
    secret: str | None

    @property
    def credentials(self) -> ClientCredentials:
        method = CLIENT_SECRET_BASIC if self.secret else NONE
        return ClientCredentials(self.client.client_id, self.secret, method)

    def link(self, *, scopes: tuple[str, ...] = ("read",), redirect_uri: str | None = REDIRECT_URI) -> str:
        return AuthorizationRequest(
            client_id=self.client.client_id,
            code_challenge=code_challenge(VERIFIER),
            redirect_uri=redirect_uri,
            scopes=scopes,
            state=STATE,
        ).encode("/oauth/authorize")

    def link_with(self, **changes: str | None) -> str:
        """Return the link with parameters replaced, or left out where the new value is None."""
        pairs = dict(parse_qsl(urlsplit(self.link()).query)) | changes
        return "/oauth/authorize?" + urlencode({name: value for name, value in pairs.items() if value is not None})

    def post(self, path: str = "/oauth/token", **form: str) -> HttpResponse:
        """Send a form as this client, with a browser's cookies nowhere near it."""
        fields = form | {name: value for name, value in self.credentials.parameters() if value}
        headers = {"Authorization": self.credentials.header()} if self.secret else {}
        return Browser(enforce_csrf_checks=True).post(
            path, urlencode(fields), content_type="application/x-www-form-urlencoded", headers=headers
        )

    def redeem(self, code: str, **changes: str) -> HttpResponse:
        fields = {"code": code, "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI} | changes
        return self.post(grant_type="authorization_code", **fields)

    def refresh(self, refresh_token: str, **more: str) -> HttpResponse:
        return self.post(grant_type="refresh_token", refresh_token=refresh_token, **more)


def approve(browser: Browser, link: str) -> dict[str, str]:
    """Press Allow; return the parameters that come back to the redirect URI."""
    return returned(browser.post(link, {"decision": "approve"}))


def returned(response: Any) -> dict[str, str]:
    assert response.status_code == 303, response.content
    return dict(parse_qsl(urlsplit(response["Location"]).query))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
