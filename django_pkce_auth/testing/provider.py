"""An authorization server in this process: strict as a good one, and as bad as a test wants it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings as django_settings
from django.test import Client as TestClient
from django.test import override_settings
from django.urls import get_script_prefix, reverse

from ..client.models import Connection
from ..client.policy import ClientPolicy
from ..conf import policy as policy_of
from ..conf import settings as current_settings
from ..protocol.client_authentication import ClientCredentials
from ..protocol.errors import OAuthError
from ..protocol.parameters import Parameters
from ..protocol.pkce import code_challenge
from ..secrets import generate
from ..transport import Answer, TransportError

ISSUER = "https://fake-provider.example"
API = "/api/"
CLIENT_ID, CLIENT_SECRET = "fake-client", "fake-client-secret-0123456789abcdef"


@dataclass(frozen=True)
class Request:
    """What reached the provider."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    query: str = ""
    body: bytes = field(default=b"", repr=False)
    """What a call by ``connection.client()`` sent, as it was; empty for what the package itself asks."""


@dataclass
class FakeProvider:
    """The provider ``slug``. Change ``userinfo``, ``scope``, ``expires_in`` or ``rotates``; script its next answers.

    ``api`` is what its API answers to who has a token: a path below ``api_base_url`` → anything that JSON can hold.
    ``requests`` holds every request that reached it. It checks client authentication, redirect URI, PKCE, and that a
    code or a rotated refresh token is used once, and answers as RFC 6749 says.
    """

    slug: str = "fake"
    issuer: str = ISSUER
    userinfo: dict[str, Any] = field(default_factory=lambda: {"sub": "fake-1", "name": "Fay Ke"})
    scope: str | None = None
    expires_in: int | None = 3600
    rotates: bool = True
    api: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    _next: list[Answer | Exception] = field(default_factory=list)
    _changes: dict[str, Any] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _refresh_tokens: dict[str, str] = field(default_factory=dict)
    _access_tokens: set[str] = field(default_factory=set)

    @property
    def settings(self) -> dict[str, Any]:
        """The entry of ``PKCE_AUTH["PROVIDERS"]`` that leads here."""
        return {
            "name": "Fake",
            "issuer": self.issuer,
            "authorize_url": f"{self.issuer}/authorize",
            "token_url": f"{self.issuer}/token",
            "revoke_url": f"{self.issuer}/revoke",
            "userinfo_url": f"{self.issuer}/userinfo",
            "api_base_url": f"{self.issuer}{API}",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": ["profile"],
            "login": True,
            "create_users": True,
        }

    # What a test scripts.

    def answer_next(self, body: object = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next request with this: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._next.append(Answer(status, raw, {name.lower(): value for name, value in (headers or {}).items()}))

    def refuse_next(self, error: str, *, status: int = 400) -> None:
        """Answer the next request with this OAuth error, ``invalid_grant`` say."""
        self.answer_next({"error": error}, status=status)

    def time_out_next(self) -> None:
        """Let the next request have no answer."""
        self._next.append(TransportError(f"{self.issuer} did not answer: ReadTimeout."))

    def change_tokens(self, **members: Any) -> None:
        """Change members of every token response from now on; None takes one out."""
        self._changes |= members

    def forget_refresh_tokens(self) -> None:
        """Refuse every refresh token that was given, as after the user ended the access there."""
        self._refresh_tokens.clear()

    # What a user does.

    def authorize(self, location: str, *, error: str = "") -> str:
        """Agree at the provider (or answer with ``error``); return where the browser is sent back to."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked.get("client_id") == CLIENT_ID, f"the link has another client_id: {asked.get('client_id')}"
        assert asked.get("response_type") == "code", "the link has another response_type than code"
        assert asked.get("code_challenge_method") == "S256", "the link has no S256 code_challenge"
        answer = {"state": asked["state"], "iss": self.issuer}
        if error:
            return f"{asked['redirect_uri']}?{urlencode({'error': error, **answer})}"
        code = generate()
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, **answer})}"

    def connect(self, browser: TestClient, **fields: str) -> Connection:
        """Walk the whole flow with a signed-in test client; return the connection, or raise AssertionError."""
        self._walk(browser, "connect", fields)
        return self._latest()

    def log_in(self, browser: TestClient, **fields: str) -> Connection:
        """Log an anonymous test client in through the account; return the connection."""
        self._walk(browser, "log_in", fields)
        return self._latest()

    def _latest(self) -> Connection:
        latest: Connection = Connection.objects.filter(provider=self.slug).latest("updated_at")
        return latest

    def _walk(self, browser: TestClient, page: str, fields: dict[str, str]) -> None:
        start = reverse(f"pkce_auth:{page}", args=[self.slug])
        # Over https where the issuer is: a project may redirect all else.
        secure = current_settings().issuer.startswith("https:")
        begun = browser.post(_below_prefix(start), fields, secure=secure)
        assert begun.status_code == 303, f"{start} answered {begun.status_code}, not with a redirect to the provider"
        back = urlsplit(self.authorize(begun["Location"]))
        done = browser.get(f"{_below_prefix(back.path)}?{back.query}", secure=secure)
        if done.status_code == 200 and "Refresh" in done:
            # With SESSION_COOKIE_SAMESITE = "Strict" a visitor without a session is sent round once more.
            again = done["Refresh"].partition("url=")[2]
            done = browser.get(_below_prefix(again), secure=secure)
        assert done.status_code == 302, f"the callback answered {done.status_code}: {done.content[:2000]!r}"

    # The transport: what our client side sends.

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        fields = {name: value for name, value in form or () if value}
        return self._answer(Request(method, urlsplit(url).path, headers or {}, fields))

    def _answer(self, sent: Request) -> Answer:
        self.requests.append(sent)
        if self._next:
            scripted = self._next.pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        if sent.path.startswith(API):
            return self._call(sent)
        answers = {"/token": self._token, "/userinfo": self._userinfo, "/revoke": self._revoke}
        return answers[sent.path](sent) if sent.path in answers else _json({"error": "not_found"}, 404)

    def _token(self, sent: Request) -> Answer:
        try:
            given = ClientCredentials.decode(sent.headers.get("Authorization"), Parameters.of(**sent.form))
        except OAuthError as error:
            return _json({"error": error.error}, 401)
        if (given.client_id, given.client_secret) != (CLIENT_ID, CLIENT_SECRET):
            return _json({"error": "invalid_client"}, 401)
        if sent.form.get("grant_type") == "refresh_token":
            return self._refresh(sent)
        asked = self._codes.pop(sent.form.get("code", ""), None)
        verifier = sent.form.get("code_verifier", "")
        if asked is None or asked["redirect_uri"] != sent.form.get("redirect_uri"):
            return _json({"error": "invalid_grant"}, 400)
        if code_challenge(verifier) != asked["code_challenge"]:
            return _json({"error": "invalid_grant"}, 400)
        return self._tokens(asked.get("scope", ""))

    def _refresh(self, sent: Request) -> Answer:
        raw = sent.form.get("refresh_token", "")
        scope = self._refresh_tokens.get(raw)
        if scope is None:
            return _json({"error": "invalid_grant"}, 400)
        if self.rotates:
            del self._refresh_tokens[raw]
        return self._tokens(scope)

    def _tokens(self, scope: str) -> Answer:
        access_token, refresh_token = generate(), generate()
        self._access_tokens.add(access_token)
        self._refresh_tokens[refresh_token] = scope
        members = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": refresh_token,
            "scope": scope if self.scope is None else self.scope,
        } | self._changes
        return _json({name: value for name, value in members.items() if value is not None})

    def _userinfo(self, sent: Request) -> Answer:
        return _json(self.userinfo) if self._knows(sent) else _json({"error": "invalid_token"}, 401)

    def _call(self, sent: Request) -> Answer:
        if not self._knows(sent):
            return Answer(401, b"", {"www-authenticate": 'Bearer error="invalid_token"'})
        path = sent.path.removeprefix(API)
        return _json(self.api[path]) if path in self.api else _json({"error": "not_found"}, 404)

    def _knows(self, sent: Request) -> bool:
        return sent.headers.get("Authorization", "").removeprefix("Bearer ") in self._access_tokens

    def _revoke(self, sent: Request) -> Answer:
        self._refresh_tokens.pop(sent.form.get("token", ""), None)
        self._access_tokens.discard(sent.form.get("token", ""))
        return Answer(200, b"")


def _below_prefix(path: str) -> str:
    """Return what a test client asks for, which puts FORCE_SCRIPT_NAME in front by itself."""
    return f"/{path.removeprefix(get_script_prefix())}" if path.startswith(get_script_prefix()) else path


def _json(members: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(members).encode(), {"content-type": "application/json"})


@contextmanager
def fake_provider(slug: str = "fake") -> Iterator[FakeProvider]:
    """Set a ``FakeProvider`` up under ``slug`` for the block: no request to it leaves the process.

    Everything else of ``PKCE_AUTH`` stays, and so does what your client policy decides, but for its transport.
    """
    provider = FakeProvider(slug)
    ours: dict[str, Any] = django_settings.PKCE_AUTH
    chosen: ClientPolicy = policy_of(current_settings().client_policy)

    over = type("OverFakeProvider", (type(chosen),), {"transport": lambda self: provider})
    # A setting names its class by a dotted path, so the class needs a place in a module.
    setattr(sys.modules[__name__], over.__name__, over)
    changed = {
        **ours,
        "PROVIDERS": {**ours.get("PROVIDERS", {}), slug: provider.settings},
        "CLIENT_POLICY": f"{__name__}.{over.__name__}",
    }
    changed.setdefault("ENCRYPTION_KEYS", [])
    if not changed["ENCRYPTION_KEYS"]:
        from cryptography.fernet import Fernet

        changed["ENCRYPTION_KEYS"] = [Fernet.generate_key().decode()]
    with override_settings(PKCE_AUTH=changed), _calls_answered_by(provider):
        yield provider


@contextmanager
def _calls_answered_by(provider: FakeProvider) -> Iterator[None]:
    """Have the provider answer what is called by ``connection.client()`` as well."""
    import httpx2

    from ..client import api

    usual = api.client_options

    def answer(request: httpx2.Request) -> httpx2.Response:
        url = request.url
        sent = Request(request.method, url.path, request.headers, {}, url.query.decode(), request.content)
        try:
            answered = provider._answer(sent)
        except TransportError as error:
            raise httpx2.ReadTimeout(str(error), request=request) from None
        return httpx2.Response(answered.status, content=answered.body, headers=answered.headers)

    def options(connection: Connection, *args: Any, **kwargs: Any) -> dict[str, Any]:
        ours = {"transport": httpx2.MockTransport(answer)} if connection.provider == provider.slug else {}
        return usual(connection, *args, **kwargs) | ours

    with patch.object(api, "client_options", options):
        yield
