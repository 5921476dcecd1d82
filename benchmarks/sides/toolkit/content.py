"""Its rows, and the requests that present what they stand for."""

from __future__ import annotations

import secrets as random
import uuid
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

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

TOKEN = "/o/token/"
AUTHORIZE = "/o/authorize/"
APPROVAL = {"allow": "Authorize"}


def populate() -> dict[str, str]:
    """Make the user and the clients; return the clients' secrets."""
    user = get_user_model().objects.create_user(USER)
    secrets = {PUBLIC: "", CONFIDENTIAL: random.token_urlsafe(32), API: random.token_urlsafe(32)}
    for client_id, secret in secrets.items():
        Application.objects.create(
            client_id=client_id,
            client_secret=secret,
            client_type=Application.CLIENT_CONFIDENTIAL if secret else Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=REDIRECT_URI,
            name=client_id,
            user=user,
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
        return [token_request("/o/introspect/", API, secrets[API], token=raw) for raw, _ in given]
    return [guarded_get("/api/me", raw) for raw, _ in tokens(client_id, count)]


def codes(client_id: str, count: int) -> list[str]:
    application, user = Application.objects.get(client_id=client_id), get_user_model().objects.get(username=USER)
    raw = [random.token_urlsafe(22) for _ in range(count)]
    Grant.objects.bulk_create(
        Grant(
            user=user,
            code=each,
            application=application,
            expires=timezone.now() + timedelta(seconds=LIFETIME),
            redirect_uri=REDIRECT_URI,
            scope=SCOPE,
            code_challenge=CHALLENGE,
            code_challenge_method="S256",
        )
        for each in raw
    )
    return raw


def tokens(client_id: str, count: int) -> list[tuple[str, str]]:
    """Make ``count`` sessions; return the access and the refresh token of each."""
    application, user = Application.objects.get(client_id=client_id), get_user_model().objects.get(username=USER)
    ends = timezone.now() + timedelta(seconds=LIFETIME)
    raw = [(random.token_urlsafe(22), random.token_urlsafe(22)) for _ in range(count)]
    made = AccessToken.objects.bulk_create(
        AccessToken(user=user, token=one, application=application, expires=ends, scope=SCOPE) for one, _ in raw
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(user=user, token=other, application=application, access_token=each, token_family=uuid.uuid4())
        for each, (_, other) in zip(made, raw, strict=True)
    )
    return raw


def one_session(secrets: dict[str, str]) -> None:
    """Let the package itself issue one session."""
    (raw,) = codes(PUBLIC, 1)
    call(redeem(TOKEN, PUBLIC, "", raw))


def columns_of_session(user: str) -> dict[str, dict[str, str]]:
    """Return what differs in the rows of session number ``i``, as SQL; ``user`` is the key of its user."""
    own = {"id": "i + 1", "user_id": user}
    access = {"token": _token("at"), "token_checksum": _checksum("at")}
    refresh_token = {"token": _token("rt"), "token_checksum": _checksum("rt"), "access_token_id": "i + 1"}
    return {
        AccessToken._meta.db_table: own | access,
        RefreshToken._meta.db_table: own | refresh_token | {"token_family": "gen_random_uuid()"},
    }


def raw_tokens(session: int) -> tuple[str, str]:
    """Return the access and the refresh token of a session that ``columns_of_session`` made."""
    return f"at{session:028}", f"rt{session:028}"


def _token(prefix: str) -> str:
    # As long as those it generates.
    return f"'{prefix}' || lpad(i::text, 28, '0')"


def _checksum(prefix: str) -> str:
    return f"encode(sha256(({_token(prefix)})::bytea), 'hex')"
