"""Tokens that another project issued: verified without its database, by its keys or by asking it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.module_loading import import_string

from ...authorization_server import JWKS, AuthorizationServer
from ...protocol.errors import OAuthError
from ...protocol.scopes import parse_scope
from ..grant import Grant

logger = logging.getLogger("django_pkce_auth.resource")


def find_remote_grant(raw_token: str, *, server: AuthorizationServer, own: str, now: datetime) -> Grant | None:
    """Return what the token allows, or None; raises Unavailable where that can't be found out now. No query.

    ``own`` is this project's identifier. A token that says no audience is for nobody here.
    """
    if server.verification == JWKS:
        from .jwks import verified_claims as find_claims
    else:
        from .introspection import introspected_claims as find_claims
    claims = find_claims(raw_token, server=server, now=now)
    return None if claims is None else _grant(claims, server=server, own=own)


def _grant(claims: Mapping[str, Any], *, server: AuthorizationServer, own: str) -> Grant | None:
    client_id, scope, audience = claims.get("client_id"), claims.get("scope", ""), claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    resources = tuple(own if each == server.audience else each for each in listed if isinstance(each, str) and each)
    if not isinstance(client_id, str) or not client_id or not isinstance(scope, str) or not resources:
        _log("it names no client, no audience, or no scope as one string")
        return None
    try:
        scopes = parse_scope(scope)
    except OAuthError:
        _log("its scope is malformed")
        return None
    subject = claims.get("sub")
    # A program that acts for itself has none (RFC 7662), or is its own subject (RFC 9068 §2.2): its client ID must not
    # be taken for the key of a person.
    if not isinstance(subject, str) or subject == client_id:
        subject = None
    user = import_string(server.user)(claims) if server.user and subject is not None else None
    if user is not None and not user.is_active:
        _log("its user is inactive here")
        return None
    return Grant(
        client_id=client_id,
        scopes=scopes,
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        user=user,
        subject=subject,
        resources=resources,
        claims=claims,
    )


def _log(why: str) -> None:
    logger.info("A token is refused: %s", why)
