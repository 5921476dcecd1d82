"""Its rows, and the requests that present what they stand for."""

from __future__ import annotations

import hashlib
import secrets as random

from django.contrib.auth import get_user_model

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

from .models import AuthorizationCode, OAuth2Client, OAuth2Token, now

TOKEN = "/oauth/token"
AUTHORIZE = "/oauth/authorize"
APPROVAL = {"decision": "approve"}


def populate() -> dict[str, str]:
    """Make the user and the clients; return the clients' secrets."""
    user = get_user_model().objects.create_user(USER)
    secrets = {PUBLIC: "", CONFIDENTIAL: random.token_urlsafe(32), API: random.token_urlsafe(32)}
    for client_id, secret in secrets.items():
        OAuth2Client.objects.create(
            user=user,
            client_id=client_id,
            client_secret=secret,
            client_name=client_id,
            redirect_uris=REDIRECT_URI,
            default_redirect_uri=REDIRECT_URI,
            scope=SCOPE,
            response_type="code",
            grant_type="authorization_code refresh_token",
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
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
    user = get_user_model().objects.get(username=USER)
    raw = [random.token_urlsafe(36) for _ in range(count)]
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(
            user=user,
            client_id=client_id,
            code=each,
            redirect_uri=REDIRECT_URI,
            response_type="code",
            scope=SCOPE,
            # Five minutes is what its example gives a code; these are made long before they are used.
            auth_time=now() + LIFETIME,
            code_challenge=CHALLENGE,
            code_challenge_method="S256",
        )
        for each in raw
    )
    return raw


def tokens(client_id: str, count: int) -> list[tuple[str, str]]:
    """Make ``count`` sessions; return the access and the refresh token of each."""
    user = get_user_model().objects.get(username=USER)
    raw = [(random.token_urlsafe(31), random.token_urlsafe(36)) for _ in range(count)]
    OAuth2Token.objects.bulk_create(
        OAuth2Token(
            user=user,
            client_id=client_id,
            token_type="Bearer",
            access_token=one,
            refresh_token=other,
            scope=SCOPE,
            expires_in=LIFETIME,
        )
        for one, other in raw
    )
    return raw


def one_session(secrets: dict[str, str]) -> None:
    """Let the package itself issue one session."""
    (raw,) = codes(PUBLIC, 1)
    call(redeem(TOKEN, PUBLIC, "", raw))


def columns_of_session(user: str) -> dict[str, dict[str, str]]:
    """Return what differs in the rows of session number ``i``, as SQL; ``user`` is the key of its user."""
    own = {"id": "i + 1", "user_id": user}
    return {OAuth2Token._meta.db_table: own | {"access_token": _token("at", 42), "refresh_token": _token("rt", 48)}}


def raw_tokens(session: int) -> tuple[str, str]:
    """Return the access and the refresh token of a session that ``columns_of_session`` made."""
    access_token, refresh_token = (hashlib.sha256(f"{prefix}{session}".encode()).hexdigest() for prefix in ("at", "rt"))
    return access_token[:42], refresh_token[:48]


def _token(prefix: str, length: int) -> str:
    # As long, and in as little order, as those it generates.
    return f"substr(encode(sha256(('{prefix}' || i)::bytea), 'hex'), 1, {length})"
