"""Client authentication (RFC 6749 §2.3)."""

from __future__ import annotations

from datetime import datetime

from django.db import router

from ..protocol.client_authentication import ClientCredentials
from ..protocol.errors import INVALID_CLIENT, UNAUTHORIZED_CLIENT, OAuthError, public_text
from ..secrets import digest, fingerprint, is_ours, same
from .events import record
from .lookups import KnownClient, StoredSecret, find_client
from .models import Client, ClientSecret

UNKNOWN = "unknown client_id"


class ClientRefused(OAuthError):
    """``invalid_client``, and whose failure it counts as."""

    def __init__(self, client_id: str, reason: str) -> None:
        # One text for all: a stranger must not learn which client exists. The log has the reason.
        super().__init__(
            INVALID_CLIENT,
            "The client is unknown or disabled, or its secret is missing or wrong; the server's log says which.",
            detail=reason,
        )
        self.client_id = client_id

    @property
    def is_known(self) -> bool:
        return self.detail != UNKNOWN

    def tell(self, *, kept: bool) -> None:
        """Tell that a client failed; not ``kept``: the audit log, which nobody empties, has enough of it."""
        # Who mixes the two up sends the secret as the client_id.
        shown = "<a secret>" if is_ours(self.client_id) else public_text(self.client_id)
        record("client_authentication_failed", at_once=True, kept=kept, client_id=shown, reason=self.detail)


def authenticate(credentials: ClientCredentials, *, found: KnownClient | None, now: datetime) -> Client:
    """Return the client that ``credentials`` prove; raises OAuthError ``invalid_client``.

    ``found`` is the client that the presented code or token belongs to, read together with it: where it is the one
    that presents itself, nothing is read again.
    """
    readings = ((credentials.client_id, credentials.client_secret), *credentials.alternatives)
    reason = UNKNOWN
    for client_id, client_secret in readings:
        known = (
            found
            if found and found.client.client_id == client_id
            else find_client(client_id, secrets=credentials.has_secret)
        )
        if known is None:
            continue
        secret = known.matching_secret(client_secret, now) if client_secret else None
        reason = _fault(known, client_secret, secret)
        if not reason:
            if secret is not None and secret.use_is_due(now):
                _note_use(secret, now)
            return known.client
    raise ClientRefused(credentials.client_id, reason)


def require_grant_type(client: Client, grant_type: str) -> None:
    """Raise OAuthError ``unauthorized_client`` where the client is not registered for ``grant_type``."""
    if not client.may_use(grant_type):
        raise OAuthError(UNAUTHORIZED_CLIENT, f"The client is not registered for the grant type {grant_type}.")


def _fault(known: KnownClient, client_secret: str | None, secret: StoredSecret | None) -> str:
    client = known.client
    if client.disabled_at is not None:
        return "the client is disabled"
    if not client.is_confidential:
        return "a public client has no secret, but one was sent" if client_secret else ""
    if not client_secret:
        return "the client is confidential and sent no secret"
    return "" if secret is not None else _why_no_secret_matches(known, client_secret)


def _why_no_secret_matches(known: KnownClient, client_secret: str) -> str:
    presented = digest(client_secret)
    if any(same(stored.digest, presented) for stored in known.secrets):
        return "the secret that was sent has expired"
    # People copy what the admin shows of a secret, or what a database holds of it.
    if any(client_secret.lower() in (stored.digest.hex(), fingerprint(stored.digest)) for stored in known.secrets):
        return "the fingerprint of a secret was sent; the secret itself was shown once, when it was made"
    return "no secret of the client that is still valid matches"


def _note_use(secret: StoredSecret, now: datetime) -> None:
    """Note when the secret was last used; of several requests at the same moment one writes."""
    rows = ClientSecret.objects.using(router.db_for_write(ClientSecret)).filter(digest=secret.digest)
    rows.filter(last_used_at=secret.last_used_at).update(last_used_at=now)
