"""Client authentication (RFC 6749 §2.3)."""

from __future__ import annotations

from datetime import datetime

from ..protocol.client_authentication import ClientCredentials
from ..protocol.errors import INVALID_CLIENT, UNAUTHORIZED_CLIENT, OAuthError, public_text
from .events import record
from .models import Client
from .querysets import KnownClient

UNKNOWN = "unknown client_id"


class ClientRefused(OAuthError):
    """``invalid_client``, and whose failure it counts as."""

    def __init__(self, reason: str, *, client_id: str, is_known: bool) -> None:
        super().__init__(
            INVALID_CLIENT,
            "The client is unknown or disabled, or its secret is missing or wrong; the server's log says which.",
            detail=reason,
        )
        self.client_id = client_id
        self.is_known = is_known


def authenticate(credentials: ClientCredentials, *, found: KnownClient | None, now: datetime) -> Client:
    """Return the client that ``credentials`` prove; raises OAuthError ``invalid_client``.

    ``found`` is the client that the presented code or token belongs to, read together with it: where it is the one
    that presents itself, nothing is read again.
    """
    readings = ((credentials.client_id, credentials.client_secret), *credentials.alternatives)
    reason = UNKNOWN
    for client_id, client_secret in readings:
        known = found if found and found.client.client_id == client_id else Client.objects.known(client_id)
        if known is not None:
            reason = _fault(known, client_secret, now)
            if not reason:
                return known.client
    shown = public_text(credentials.client_id)
    record("client_authentication_failed", at_once=True, client_id=shown, reason=reason)
    # One text for all: a stranger must not learn which client exists. The log has the reason.
    raise ClientRefused(reason, client_id=credentials.client_id, is_known=reason != UNKNOWN)


def require_grant_type(client: Client, grant_type: str) -> None:
    """Raise OAuthError ``unauthorized_client`` where the client is not registered for ``grant_type``."""
    if not client.may_use(grant_type):
        raise OAuthError(UNAUTHORIZED_CLIENT, f"The client is not registered for the grant type {grant_type}.")


def _fault(known: KnownClient, client_secret: str | None, now: datetime) -> str:
    client = known.client
    if client.disabled_at is not None:
        return "the client is disabled"
    if not client.is_confidential:
        return "a public client has no secret, but one was sent" if client_secret else ""
    if not client_secret:
        return "the client is confidential and sent no secret"
    return "" if known.has_secret(client_secret, now) else "no secret of the client that is still valid matches"
