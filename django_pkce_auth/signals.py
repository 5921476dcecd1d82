"""Signals, sent after the transaction that they tell of has been committed, with ids only and never a secret."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import Signal

# Server side. ``client`` is a server.models.Client; ``family`` a server.models.TokenFamily.
code_issued = Signal()  # client, user, scopes
tokens_issued = Signal()  # client, user, family, grant_type
tokens_refreshed = Signal()  # client, user, family
reuse_detected = Signal()  # client, family, what: "authorization_code" or "refresh_token"
family_revoked = Signal()  # family, reason
client_authentication_failed = Signal()  # client_id, reason
consent_given = Signal()  # client, user, scopes

# Client side. ``connection`` is a client.models.Connection.
connection_made = Signal()  # connection, created
connection_refreshed = Signal()  # connection
connection_broken = Signal()  # connection: it needs its user to reconnect
connection_removed = Signal()  # connection, user


def send_after_commit(signal: Signal, *, sender: Any, using: str, **facts: Any) -> None:
    """Send ``signal`` once the current transaction is committed; a receiver that fails is logged and harms nobody."""
    transaction.on_commit(partial(signal.send_robust, sender=sender, **facts), using=using, robust=True)
