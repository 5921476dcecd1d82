"""The one function that verifies a bearer token; every integration wraps it (RFC 6750)."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NoReturn

from .. import outages
from ..conf import Settings
from ..metrics import count
from ..protocol import bearer
from ..protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError
from ..protocol.scopes import format_scope
from ..resource_registry import Resource
from .grant import Grant, Refused, Unavailable
from .local import find_local_grant
from .metadata import metadata_url, opening

logger = logging.getLogger("django_pkce_auth.resource")

__all__ = ["Grant", "Refused", "verify"]


def verify(
    authorization: str | None,
    *,
    scopes: tuple[str, ...],
    resource: Resource,
    settings: Settings,
    now: datetime,
    known: Grant | None = None,
) -> Grant:
    """Return what the Authorization header allows; raises Refused. One query at most.

    Only the header is read, never the query or the body. ``scopes`` are all that the operation needs; ``resource`` is
    where it is asked for, and a token that is bound to others is none here (RFC 8707 §2). ``known`` is the grant that
    the same header gave earlier in the same request: the token is not looked up again.
    """

    def refuse(status: int, error: OAuthError, *, scope: str = "") -> NoReturn:
        count("token_verified", result=error.error)
        metadata = "" if status == 400 else metadata_url(resource, settings=settings)
        raise Refused(status, error, challenge=bearer.challenge(error, scope=scope, resource_metadata=metadata))

    try:
        raw_token = bearer.decode(authorization)
    except OAuthError as error:
        refuse(400, error)
    if raw_token is None:
        count("token_verified", result="no_token")
        raise Refused(401, None, challenge=first_challenge(scopes, resource=resource, settings=settings))
    grant = known or find_grant(raw_token, settings=settings, now=now)
    if grant is None:
        # Unknown, expired and revoked are one answer for the client; all three mean: get a new token.
        refuse(401, OAuthError(bearer.INVALID_TOKEN, "The access token is unknown, expired or revoked."))
    if not resource.admits(grant.resources):
        meant = ascii(grant.resources or (settings.resources.own.identifier,))[:200]
        logger.info("A token is refused: it is for %s, and was sent to %s", meant, resource.identifier)
        refuse(401, OAuthError(bearer.INVALID_TOKEN, "The access token is for another resource than this one."))
    if not settings.scopes.covers(grant.scopes, scopes):
        lacking = OAuthError(bearer.INSUFFICIENT_SCOPE, "The access token does not have every scope that this needs.")
        refuse(403, lacking, scope=format_scope(scopes))
    if known is None and settings.metrics:
        count("token_verified", result="ok")
    return grant


def first_challenge(scopes: tuple[str, ...], *, resource: Resource, settings: Settings) -> str:
    """Return what a request without a token is told: which server to ask, and for what (RFC 9728 §5.1)."""
    scope = format_scope(scopes or opening(resource.scopes))
    return bearer.challenge(scope=scope, resource_metadata=metadata_url(resource, settings=settings))


def find_grant(raw_token: str, *, settings: Settings, now: datetime) -> Grant | None:
    """Return what a token allows, whoever issued it, or None; raises Refused where nothing can be found out."""
    server = settings.authorization_server
    if server is None:
        try:
            return find_local_grant(raw_token, settings=settings, now=now)
        except outages.DATABASE_ERRORS as error:
            outages.note(error, where="a guard")
            raise _unavailable() from None
    from .remote import find_remote_grant

    try:
        return find_remote_grant(raw_token, server=server, own=settings.resources.own.identifier, now=now)
    except Unavailable:
        raise _unavailable() from None


def _unavailable() -> Refused:
    count("token_verified", result=TEMPORARILY_UNAVAILABLE)
    error = OAuthError(TEMPORARILY_UNAVAILABLE, "The access token can't be verified right now; try again later.")
    return Refused(503, error, retry_after=outages.RETRY_AFTER_SECONDS)
