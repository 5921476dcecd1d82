"""Signals, sent after the transaction that they tell of was committed, and never with a secret among their facts."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

# Server side. ``client`` is a server.models.Client or None, ``user`` a user or None, ``family`` the id of a TokenFamily
# or None; every one of these signals has all three, and behind it what else it tells.
code_issued = Signal()  # scopes: the user approved
tokens_issued = Signal()  # grant_type: an authorization gave its first tokens
tokens_refreshed = Signal()  # a refresh token gave new tokens
reuse_detected = Signal()  # what: "authorization_code" or "refresh_token"
family_revoked = Signal()  # reason, actor: the id of the user who did it, or None
client_authentication_failed = Signal()  # client_id as presented, reason
signing_key_added = Signal()  # kid, algorithm
signing_key_retired = Signal()  # kid, algorithm, compromised
consent_given = Signal()  # scopes: those of the answer that changed the consent
consent_withdrawn = Signal()  # the user ended the app's access

# Client side. ``connection`` is a client.models.Connection: its repr holds no token, and its methods give them.
connection_made = Signal()  # connection, created
connection_refreshed = Signal()  # connection: it has a new access token
connection_broken = Signal()  # connection: it needs its user to reconnect
connection_removed = Signal()  # connection, user


def send_after_commit(signal: Signal, *, sender: Any, using: str, **facts: Any) -> None:
    """Send ``signal`` once the current transaction is committed; a receiver that fails is logged and harms nobody."""

    def send() -> None:
        signal.send_robust(sender=sender, **facts)

    transaction.on_commit(send, using=using, robust=True)
