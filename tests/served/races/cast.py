"""Who takes part in a race: a user and clients of one driver process, and rows that a flow would have left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from django_pkce_auth.protocol.authentication_methods import CLIENT_SECRET_BASIC
from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.protocol.pkce import code_challenge
from django_pkce_auth.secrets import ACCESS_TOKEN, AUTHORIZATION_CODE, REFRESH_TOKEN, digest, generate
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import (
    AccessToken,
    AuthorizationCode,
    Client,
    RedirectURI,
    RefreshToken,
    TokenFamily,
)
from tests.four_steps import REDIRECT_URI, VERIFIER, bearer
from tests.served.wire import Request

LONG = timedelta(hours=6)
"""Prepared rows wait for their turn."""


@dataclass(frozen=True, slots=True)
class Program:
    """A registered client, and the requests that it sends."""

    client: Client
    secret: str | None

    @classmethod
    def register(cls, client_id: str, *, public: bool) -> Program:
        kind = Client.Type.PUBLIC if public else Client.Type.CONFIDENTIAL
        client = Client.objects.create(
            client_id=client_id,
            name=client_id,
            type=kind,
            scope="read write profile",
            grant_types="authorization_code refresh_token" + ("" if public else " client_credentials"),
        )
        RedirectURI.objects.create(client=client, uri=REDIRECT_URI)
        return cls(client, None if public else add_secret(client, now=timezone.now()))

    def post(self, path: str, form: Mapping[str, str], *, secret: str | None = None) -> Request:
        given = secret or self.secret
        if given is None:
            return Request("POST", path, {**form, "client_id": self.client.client_id})
        header = ClientCredentials(self.client.client_id, given, CLIENT_SECRET_BASIC).header()
        return Request("POST", path, form, {"Authorization": str(header)})

    def redeem(self, code: str) -> Request:
        form = {"grant_type": "authorization_code", "code": code}
        return self.post("/oauth/token", {**form, "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI})

    def refresh(self, token: str) -> Request:
        return self.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token})

    def revoke(self, token: str) -> Request:
        return self.post("/oauth/revoke", {"token": token})


def use(token: str) -> Request:
    """A request to a guarded view."""
    return Request("GET", "/api/read", headers=bearer(token))


def make_user(name: str) -> Any:
    return get_user_model().objects.create_user(username=name)


def make_codes(program: Program, user: Any, count: int) -> list[str]:
    now, raw = timezone.now(), [generate(AUTHORIZATION_CODE) for _ in range(count)]
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(
            digest=digest(code),
            client=program.client,
            user=user,
            created_at=now,
            expires_at=now + LONG,
            code_challenge=code_challenge(VERIFIER),
            redirect_uri=REDIRECT_URI,
            scope="read",
        )
        for code in raw
    )
    return raw


@dataclass(frozen=True, slots=True)
class Given:
    """A family as an exchange leaves it."""

    family: int
    access_token: str
    refresh_token: str


def make_families(program: Program, user: Any, count: int) -> list[Given]:
    now = timezone.now()
    made = []
    for _ in range(count):
        family = TokenFamily.objects.create(
            client=program.client, user=user, scope="read", created_at=now, last_used_at=now
        )
        made.append(Given(family.pk, generate(ACCESS_TOKEN), generate(REFRESH_TOKEN)))
    common = {"created_at": now, "expires_at": now + LONG}
    AccessToken.objects.bulk_create(
        AccessToken(digest=digest(given.access_token), family_id=given.family, **common) for given in made
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(digest=digest(given.refresh_token), family_id=given.family, generation=0, **common)
        for given in made
    )
    return made
