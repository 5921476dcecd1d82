"""Tokens that their issuer is asked about (RFC 7662)."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from ...authorization_server import AuthorizationServer
from ...discovery import Unpublished, server_metadata
from ...protocol.authentication_methods import CLIENT_SECRET_BASIC
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_SCOPE, OAuthError
from ...protocol.introspection import IntrospectionRequest, IntrospectionResponse
from ...secrets import digest
from ...transport import HttpTransport, TransportError, shown
from ..grant import Unavailable

logger = logging.getLogger("django_pkce_auth.resource")

MAX_ANSWERS: Final = 10_000
_answers: OrderedDict[tuple[str, bytes], tuple[float, Mapping[str, Any] | None]] = OrderedDict()
_lock = Lock()

SLOW_SECONDS: Final = 1.0
"""A server that says nothing for so long is hanging, and not only away."""
_hanging: set[str] = set()
_waiting = Lock()


def introspected_claims(raw_token: str, *, server: AuthorizationServer, now: datetime) -> Mapping[str, Any] | None:
    """Return what the issuer says of a token that is active, else None; raises Unavailable where it says nothing.

    An answer is kept for ``cache_seconds`` in this process, never longer than the token lives, and of at most 10,000
    tokens.
    """
    key, clock = (server.issuer, digest(raw_token)), time.monotonic()
    with _lock:
        kept = _answers.get(key)
    if kept is not None and clock < kept[0]:
        claims = kept[1]
    else:
        claims = _ask_unless_hanging(raw_token, server=server, now=now)
        _keep(key, clock + server.cache_seconds, claims)
    return claims if claims is not None and now.timestamp() < claims["exp"] else None


def _keep(key: tuple[str, bytes], until: float, claims: Mapping[str, Any] | None) -> None:
    with _lock:
        _answers[key] = (until, claims)
        _answers.move_to_end(key)
        while len(_answers) > MAX_ANSWERS:
            _answers.popitem(last=False)


def _ask_unless_hanging(raw_token: str, *, server: AuthorizationServer, now: datetime) -> Mapping[str, Any] | None:
    """Ask; while the issuer hangs one request at a time does, so that it does not hold every worker of this project."""
    probes = server.issuer in _hanging
    if probes and not _waiting.acquire(blocking=False):
        raise Unavailable
    begun = time.monotonic()
    try:
        claims = _ask(raw_token, server=server, now=now)
    except Unavailable:
        if time.monotonic() - begun >= SLOW_SECONDS:
            _hanging.add(server.issuer)
        raise
    else:
        _hanging.discard(server.issuer)
        return claims
    finally:
        if probes:
            _waiting.release()


def _ask(raw_token: str, *, server: AuthorizationServer, now: datetime) -> Mapping[str, Any] | None:
    credentials = ClientCredentials(server.client_id, server.client_secret, CLIENT_SECRET_BASIC)
    transport = HttpTransport()
    try:
        url = server.introspection_url or server_metadata(server.issuer, transport=transport).introspection_endpoint
        if not url:
            raise Unpublished(f"{server.issuer} publishes no introspection_endpoint; name its 'introspection_url'.")
        form = IntrospectionRequest(raw_token, "access_token").encode()
        answer = transport.request("POST", url, headers={"Authorization": credentials.header()}, form=form)
    except (Unpublished, TransportError) as error:
        logger.error("A token can't be verified: %s", error)
        raise Unavailable from None
    members = answer.json()
    try:
        if answer.status != 200:
            hint = "; are 'client_id' and 'client_secret' those of a client there?" if answer.status == 401 else ""
            raise OAuthError("invalid_request", f"it answered {answer.status}{hint}")
        said = IntrospectionResponse.decode(members)
    except OAuthError as error:
        if error.error == INVALID_SCOPE:
            # It says that the token is active, with what a later try would find again.
            logger.info("A token is refused: its scope is malformed")
            return None
        logger.error("A token can't be verified: %s: %s", shown(url), error.description)
        raise Unavailable from None
    return _claims(members, said, server=server, now=now)


def _claims(
    members: Mapping[str, Any], said: IntrospectionResponse, *, server: AuthorizationServer, now: datetime
) -> Mapping[str, Any] | None:
    """Return the claims of an access token; a refresh token is active as well, and opens nothing."""
    if not said.active:
        logger.info(
            "A token is refused: it is not active, says %s; does it let %s ask about every token?",
            server.issuer,
            server.client_id,
        )
        return None
    has_odd_end = said.exp is None and members.get("exp") is not None
    if (said.token_type or "").lower() != "bearer" or said.iss not in (None, server.issuer) or has_odd_end:
        logger.info("A token is refused: %s does not call it a Bearer token of its own with an end", server.issuer)
        return None
    # One that says no end lives as long as the answer does.
    ends = said.exp if said.exp is not None else now.timestamp() + max(server.cache_seconds, 1)
    # Every request until then is given the same claims, which no view may change for the next.
    return MappingProxyType({**members, "exp": ends})
