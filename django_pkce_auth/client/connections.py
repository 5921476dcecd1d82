"""Storing what a flow brought, and finding whose account it is."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..outages import persistently
from ..secrets import digest
from ..signals import connection_made, send_after_commit
from .errors import ConnectError
from .flow import Completed, expires_at, granted_scope
from .models import OF_TOKENS, Connection
from .policy import Account
from .providers import Provider


class AccountTaken(ConnectError):
    """The account at the provider is connected to another user here."""


class UserRemoved(ConnectError):
    """The user was removed while the provider was asked: there is nobody to connect the account to."""


def account_digest(provider: Provider, account: Account) -> bytes | None:
    """Return what identifies an account for good: (provider, issuer, subject), compared byte by byte."""
    if account.subject is None:
        return None
    return digest(f"{provider.slug}\0{provider.issuer}\0{account.subject}")


def find(provider: Provider, account: Account) -> Connection | None:
    """Return the connection of this very account, whoever has it."""
    identity = account_digest(provider, account)
    if identity is None:
        return None
    rows = Connection.objects.using(router.db_for_write(Connection)).select_related("user")
    return rows.filter(account_digest=identity).first()


def store(completed: Completed, *, user: Any, now: datetime) -> Connection:
    """Keep the tokens on the user's connection of that account, new or as it was.

    Raises AccountTaken and UserRemoved.
    """
    work = partial(store_once, completed, user=user, now=now)
    try:
        return persistently(work)
    except IntegrityError:
        users = get_user_model()
        if not users._base_manager.using(router.db_for_write(users)).filter(pk=user.pk).exists():
            raise UserRemoved("the user was removed meanwhile") from None
        # Another request stored the same account since we looked; now it is there to be found.
        return persistently(work)


def store_once(completed: Completed, *, user: Any, now: datetime) -> Connection:
    """Like ``store``, but raises IntegrityError where another request stores the same account at this moment.

    For callers in a transaction of their own, all of which they must then undo before the next try: MariaDB keeps the
    lock on the other's row until then, and of several that keep it none could go on.
    """
    using = router.db_for_write(Connection)
    with transaction.atomic(using=using):
        return _store(completed, user, now, using)


def _store(completed: Completed, user: Any, now: datetime, using: str) -> Connection:
    provider, account, tokens = completed.provider, completed.account, completed.tokens
    connection = _existing(completed, user, using)
    if connection is not None and connection.user_id != user.pk:
        raise AccountTaken(
            _("This %(provider)s account is connected to another user here.") % {"provider": provider.name}
        )
    created = connection is None
    if connection is None:
        connection = Connection(user=user, provider=provider.slug, created_at=now)
    connection.issuer = provider.issuer
    connection.subject = account.subject
    connection.account_digest = account_digest(provider, account)
    # One that the project gave stays, where the provider says none.
    connection.label = account.label or connection.label
    connection.picture_url = account.picture_url
    connection.scope = granted_scope(tokens, completed.attempt.scope)
    connection.status = Connection.Status.ACTIVE
    # Later than that of a refresh which was stored since the answer came.
    connection.updated_at = max(now, timezone.now())
    connection.raw_access_token = tokens.access_token
    # A provider that gives no new refresh token at a repeated consent leaves the old one in force.
    connection.raw_refresh_token = tokens.refresh_token or connection.raw_refresh_token
    connection.access_token_expires_at = expires_at(tokens, now)
    connection.save(using=using, update_fields=None if created else _STORED)
    send_after_commit(connection_made, sender=Connection, using=using, connection=connection, created=created)
    return connection


_STORED = ["issuer", "subject", "account_digest", "label", "picture_url", *OF_TOKENS]
"""The columns of a row that is connected again; what the project keeps on it is its own."""


def _existing(completed: Completed, user: Any, using: str) -> Connection | None:
    """Return the row to write to, locked against a refresh that is under way.

    The lock is a write, not SELECT FOR UPDATE: SQLite, which has no row locks, refuses a transaction that reads first
    and writes after somebody else did.
    """
    identity = account_digest(completed.provider, completed.account)
    rows = Connection.objects.using(using).filter(account_digest=identity)
    if identity is None:
        # A provider that names no account has one connection a user, unless one was named at the start.
        rows = rows.filter(user=user, provider=completed.provider.slug)
        named = completed.attempt.connection_id
        rows = rows.filter(pk=named) if named else rows
    rows.update(refresh_claimed_until=None)
    return rows.order_by("pk").first()
