"""Rows as the package itself writes them, and the requests that present what they stand for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
from django_pkce_auth.secrets import ACCESS_TOKEN, AUTHORIZATION_CODE, REFRESH_TOKEN, digest, generate
from django_pkce_auth.server.clients import add_secret, set_redirect_uris
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, Client, RefreshToken, TokenFamily

TOKEN = "/oauth/token"
AUTHORIZE = "/oauth/authorize"
APPROVAL = {"decision": "approve"}


def populate() -> dict[str, str]:
    """Make the user and the clients; return the clients' secrets."""
    get_user_model().objects.create_user(USER)
    secrets = {PUBLIC: ""}
    for client_id, kind in ((PUBLIC, "public"), (CONFIDENTIAL, "confidential"), (API, "confidential")):
        introspects = "all" if client_id == API else "own"
        client = Client.objects.create(
            client_id=client_id, name=client_id, type=kind, scope=SCOPE, introspects=introspects
        )
        set_redirect_uris(client, [REDIRECT_URI])
        if kind == "confidential":
            secrets[client_id] = add_secret(client, now=timezone.now())
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
    now, client, user = timezone.now(), _client(client_id), _user()
    raw = [generate(AUTHORIZATION_CODE) for _ in range(count)]
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(
            digest=digest(each),
            client=client,
            user=user,
            created_at=now,
            expires_at=now + timedelta(seconds=LIFETIME),
            code_challenge=CHALLENGE,
            scope=SCOPE,
            redirect_uri=REDIRECT_URI,
        )
        for each in raw
    )
    return raw


def tokens(client_id: str, count: int) -> list[tuple[str, str]]:
    """Make ``count`` sessions; return the access and the refresh token of each."""
    now, client, user = timezone.now(), _client(client_id), _user()
    # Of a family's uses one in five minutes is noted by an UPDATE. Each of these is used once, long after it was made,
    # so all of them would be; this keeps them from it.
    used = now + timedelta(seconds=LIFETIME)
    families = TokenFamily.objects.bulk_create(
        TokenFamily(client=client, user=user, created_at=now, last_used_at=used, scope=SCOPE, has_siblings=False)
        for _ in range(count)
    )
    raw = [(generate(ACCESS_TOKEN), generate(REFRESH_TOKEN)) for _ in families]
    ends = {"created_at": now, "expires_at": now + timedelta(seconds=LIFETIME)}
    pairs = list(zip(families, raw, strict=True))
    AccessToken.objects.bulk_create(AccessToken(family=each, digest=digest(one), **ends) for each, (one, _) in pairs)
    RefreshToken.objects.bulk_create(
        RefreshToken(family=each, generation=0, digest=digest(other), **ends) for each, (_, other) in pairs
    )
    return raw


def _client(client_id: str) -> Client:
    return Client.objects.get(client_id=client_id)


def _user() -> Any:
    return get_user_model().objects.get(username=USER)


def one_session(secrets: dict[str, str]) -> None:
    """Let the package itself issue one session."""
    (raw,) = codes(PUBLIC, 1)
    call(redeem(TOKEN, PUBLIC, "", raw))


def columns_of_session(user: str) -> dict[str, dict[str, str]]:
    """Return what differs in the rows of session number ``i``, as SQL; ``user`` is the key of its user."""
    return {
        TokenFamily._meta.db_table: {"id": "i + 1", "user_id": user},
        AccessToken._meta.db_table: {"family_id": "i + 1", "digest": _stored(ACCESS_TOKEN)},
        RefreshToken._meta.db_table: {"family_id": "i + 1", "digest": _stored(REFRESH_TOKEN)},
    }


def _stored(prefix: str) -> str:
    return f"sha256(('{prefix}' || i)::bytea)"


def raw_tokens(session: int) -> tuple[str, str]:
    """Return the access and the refresh token of a session that ``columns_of_session`` made."""
    return f"{ACCESS_TOKEN}{session}", f"{REFRESH_TOKEN}{session}"
