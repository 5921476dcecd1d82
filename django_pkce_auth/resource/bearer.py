"""The one function that verifies a bearer token; every integration wraps it (RFC 6750)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import router, transaction
from django.db.models import Q

from ..protocol import bearer
from ..protocol.errors import OAuthError
from ..protocol.scopes import format_scope
from ..scope_registry import ScopeRegistry
from ..server.models import AccessToken, Client, TokenFamily

USE_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token allows: ``request.oauth`` behind ``require_scopes``. ``user`` is None without a person."""

    client: Client
    user: Any
    scopes: tuple[str, ...]
    expires_at: datetime

    @property
    def acting_user(self) -> Any:
        """What ``request.user`` becomes: the user, the client's service user, or AnonymousUser; never None."""
        return self.user or self.client.service_user or AnonymousUser()


class Refused(Exception):
    """The request is not let in. ``challenge`` is the WWW-Authenticate value, ``status`` 400, 401 or 403."""

    def __init__(self, status: int, challenge: str, error: OAuthError | None) -> None:
        super().__init__(error.error if error else "no token")
        self.status = status
        self.challenge = challenge
        self.error = error

    def members(self) -> dict[str, str]:
        """The JSON body: nothing for a request that sent no token (RFC 6750 §3.1)."""
        return {} if self.error is None else {"error": self.error.error, "error_description": self.error.description}


def verify(authorization: str | None, *, scopes: Iterable[str], registry: ScopeRegistry, now: datetime) -> Grant:
    """Return what the Authorization header allows; raises Refused. One query, and every five minutes a note of the use.

    Only the header is read, never the query or the body. ``registry`` knows which scope implies which.
    """
    needed = tuple(scopes)
    try:
        raw_token = bearer.decode(authorization)
    except OAuthError as error:
        raise Refused(400, bearer.challenge(error), error) from None
    if raw_token is None:
        raise Refused(401, bearer.challenge(scope=format_scope(needed)), None)
    grant = _grant(raw_token, now)
    if grant is None:
        # Unknown, expired and revoked are one answer for the client; all three mean: get a new token.
        invalid = OAuthError(bearer.INVALID_TOKEN, "The access token is unknown, expired or revoked.")
        raise Refused(401, bearer.challenge(invalid), invalid)
    if not registry.covers(grant.scopes, needed):
        lacking = OAuthError(bearer.INSUFFICIENT_SCOPE, "The access token does not have every scope that this needs.")
        raise Refused(403, bearer.challenge(lacking, scope=format_scope(needed)), lacking)
    return grant


def _note_use(family: TokenFamily, now: datetime) -> None:
    """Keep when the access was last used, at most once in five minutes.

    After the commit, where the request has a transaction: a slow view must not hold a lock on what every request of
    this app would then wait for. No harm is done where the note is lost.
    """
    stale = now - USE_INTERVAL
    if family.last_used_at is not None and family.last_used_at > stale:
        return
    using = router.db_for_write(TokenFamily)
    unnoted = TokenFamily.objects.using(using).filter(Q(last_used_at=None) | Q(last_used_at__lte=stale), pk=family.pk)

    def note() -> None:
        unnoted.update(last_used_at=now)

    transaction.on_commit(note, using=using, robust=True)


def _grant(raw_token: str, now: datetime) -> Grant | None:
    """Valid is the token AND its family AND its client AND its user, all read in one query."""
    tokens = AccessToken.objects.by_raw(raw_token)
    token = tokens.select_related("family__client__service_user", "family__user").first()
    if token is None or not token.is_live(now):
        return None
    family = token.family
    _note_use(family, now)
    return Grant(client=family.client, user=family.user, scopes=token.scopes, expires_at=token.expires_at)
