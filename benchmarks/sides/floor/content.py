"""The floor's rows, and the requests that present what they stand for."""

from __future__ import annotations

import hashlib
import secrets as random
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone

from benchmarks.exchange import (
    API,
    CHALLENGE,
    CONFIDENTIAL,
    KINDS,
    LIFETIME,
    PUBLIC,
    REDIRECT_URI,
    SCOPE,
    USER,
    Request,
    call,
    guarded_get,
    redeem,
    refresh,
    token_request,
)

from .models import AccessToken, Client, Code, Family, RefreshToken

TOKEN = "/oauth/token"
AUTHORIZE = "/oauth/authorize"
APPROVAL = {"decision": "approve"}


def populate() -> dict[str, str]:
    """Make the user and the clients; return the clients' secrets."""
    get_user_model().objects.create_user(USER)
    secrets = {PUBLIC: "", CONFIDENTIAL: random.token_urlsafe(32), API: random.token_urlsafe(32)}
    for client_id, secret in secrets.items():
        stored = _digest(secret) if secret else None
        Client.objects.create(
            client_id=client_id, name=client_id, secret_digest=stored, redirect_uri=REDIRECT_URI, scope=SCOPE
        )
    return secrets


def prepare(operation: str, kind: str, count: int, secrets: dict[str, str]) -> list[Request]:
    client_id = KINDS[kind]
    secret = secrets[client_id]
    if operation == "exchange":
        return [redeem(TOKEN, client_id, secret, raw) for raw in codes(client_id, count)]
    if operation == "refresh":
        return [refresh(TOKEN, client_id, secret, raw) for _, raw in tokens(client_id, count)]
    if operation == "introspection":
        given = tokens(client_id, count)
        return [token_request("/oauth/introspect", API, secrets[API], token=raw) for raw, _ in given]
    return [guarded_get("/api/me", raw) for raw, _ in tokens(client_id, count)]


def codes(client_id: str, count: int) -> list[str]:
    ends = timezone.now() + timedelta(seconds=LIFETIME)
    client, user = Client.objects.get(client_id=client_id), get_user_model().objects.get(username=USER)
    raw = [random.token_urlsafe(32) for _ in range(count)]
    Code.objects.bulk_create(
        Code(
            digest=_digest(each),
            client=client,
            user=user,
            expires_at=ends,
            code_challenge=CHALLENGE,
            redirect_uri=REDIRECT_URI,
            scope=SCOPE,
        )
        for each in raw
    )
    return raw


def tokens(client_id: str, count: int) -> list[tuple[str, str]]:
    """Make ``count`` sessions; return the access and the refresh token of each."""
    now = timezone.now()
    client, user = Client.objects.get(client_id=client_id), get_user_model().objects.get(username=USER)
    families = Family.objects.bulk_create(
        Family(client=client, user=user, created_at=now, scope=SCOPE) for _ in range(count)
    )
    raw = [(random.token_urlsafe(32), random.token_urlsafe(32)) for _ in families]
    ends = {"created_at": now, "expires_at": now + timedelta(seconds=LIFETIME)}
    pairs = list(zip(families, raw, strict=True))
    AccessToken.objects.bulk_create(AccessToken(family=each, digest=_digest(one), **ends) for each, (one, _) in pairs)
    RefreshToken.objects.bulk_create(
        RefreshToken(family=each, digest=_digest(other), **ends) for each, (_, other) in pairs
    )
    return raw


def one_session(secrets: dict[str, str]) -> None:
    """Let the floor itself issue one session."""
    (raw,) = codes(PUBLIC, 1)
    call(redeem(TOKEN, PUBLIC, "", raw))


def columns_of_session(user: str) -> dict[str, dict[str, str]]:
    """Return what differs in the rows of session number ``i``, as SQL; ``user`` is the key of its user."""
    return {
        Family._meta.db_table: {"id": "i + 1", "user_id": user},
        AccessToken._meta.db_table: {"family_id": "i + 1", "digest": "sha256(('at' || i)::bytea)"},
        RefreshToken._meta.db_table: {"family_id": "i + 1", "digest": "sha256(('rt' || i)::bytea)"},
    }


def raw_tokens(session: int) -> tuple[str, str]:
    """Return the access and the refresh token of a session that ``columns_of_session`` made."""
    return f"at{session}", f"rt{session}"


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()
