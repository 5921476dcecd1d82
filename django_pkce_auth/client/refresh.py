"""A connection's access token: valid when it is handed out, refreshed once for however many wait for it.

``updated_at`` is the version of a row's tokens: whoever writes them says which version was read, and the database
decides. The claim, which lapses by itself, only keeps several processes from asking the provider at once.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connections as databases
from django.db import router, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..conf import policy, settings
from ..encryption import Unreadable
from ..metrics import count
from ..outages import DATABASE_ERRORS, is_outage, persistently
from ..protocol.token import RefreshTokenRequest, TokenResponse
from ..signals import connection_broken, connection_refreshed, send_after_commit
from ..transport import Transport
from . import told_to_wait
from .apart import apart
from .disconnect import revoke
from .errors import ConnectError, ProviderRefused, ProviderUnavailable, ReconnectRequired
from .flow import expires_at, granted_scope
from .models import Connection
from .providers import Provider, get_provider

logger = logging.getLogger("django_pkce_auth.client")

AHEAD = timedelta(seconds=60)
"""How long before its end a token is replaced, so that it is valid when it arrives."""
CLAIM = timedelta(seconds=15)
"""How long one refresh may take before another process may try; longer than our transport's deadline."""
PROMPT = timedelta(seconds=0.5)
"""How long it may take to write the claim, which is made anew where that took longer."""
POLL_SECONDS = 0.05
BACKOFF_SECONDS = (0.2, 0.8)
PATIENCE_SECONDS = 4.0
"""No new try begins later than this; with the deadline of the last one it stays within the claim."""
STORE_PAUSES_SECONDS = (0.2, 0.8, 2.0)
USE_INTERVAL = timedelta(minutes=5)
DEAD = frozenset({"invalid_grant", "bad_refresh_token", "invalid_refresh_token"})
"""What is said of a refresh token that is worth nothing any more (RFC 6749 §5.2), and by GitHub and Slack instead."""


def access_token(connection: Connection, *, transport: Transport | None, now: datetime, rejected: str = "") -> str:
    """Return a valid token; see ``Connection.access_token``.

    ``rejected`` is one that the API just refused, whatever its lifetime: it is replaced and never returned.
    """
    if connection.status == Connection.Status.ACTIVE and (token := _fresh(connection, now, rejected)):
        return token
    work = partial(_renewed, connection, transport, now, rejected)
    try:
        return apart(connection, work) or work()
    except ConnectError as error:
        # The text says all. Reports of errors show what functions hold as well, and here and below those are tokens.
        del work, rejected
        raise error.with_traceback(None) from None


def _renewed(connection: Connection, transport: Transport | None, now: datetime, rejected: str) -> str:
    started, end = now, time.monotonic() + CLAIM.total_seconds()
    waited_for: datetime | None = None
    while True:
        _reread(connection)
        if token := _settled(connection, now, rejected):
            return token
        try:
            if waited_for == connection.updated_at and connection.refresh_claimed_until is None:
                # It gave its claim back and stored nothing. Were all to ask in turn, the last had to wait for long.
                raise ProviderUnavailable("Another process has just asked the provider, and got no usable answer.")
            if _try_refresh(connection, transport, now):
                return str(connection.raw_access_token)
            waited_for = connection.updated_at
            if time.monotonic() > end:
                raise ProviderUnavailable("Another process has been refreshing this connection for too long.")
        except ProviderUnavailable:
            # Due, but not yet over: what is left of the old token serves until the provider is back.
            if token := _still_valid(connection, now, rejected):
                return token
            raise
        if token := _still_valid(connection, now, rejected):
            return token
        time.sleep(POLL_SECONDS)
        now = max(started, timezone.now())


def note_use(connection: Connection, *, now: datetime) -> None:
    """Keep when the connection was last used, at most once in five minutes."""
    last = connection.last_used_at
    if last is None or last < now - USE_INTERVAL:
        connection.last_used_at = now
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_INTERVAL)
        row = _rows().filter(stale, pk=connection.pk)

        # No partial: Django 5.2 asks a callback that failed for its __qualname__.
        def note() -> None:
            _write(row, last_used_at=now)

        # Within the caller's transaction it would lock the row to its end, and a refresh could no longer be apart.
        transaction.on_commit(note, using=router.db_for_write(Connection), robust=True)


def _fresh(connection: Connection, now: datetime, rejected: str) -> str:
    """Return the token if it needs no refresh, else the empty string."""
    until, token = connection.access_token_expires_at, connection.raw_access_token
    return token if token != rejected and (until is None or now + AHEAD < until) else ""


def _still_valid(connection: Connection, now: datetime, rejected: str) -> str:
    until, token = connection.access_token_expires_at, connection.raw_access_token
    return token if token != rejected and until is not None and now < until else ""


def _settled(connection: Connection, now: datetime, rejected: str) -> str:
    """Return the token where there is nothing to refresh, "" where there is; raises ReconnectRequired."""
    if connection.status != Connection.Status.ACTIVE:
        raise ReconnectRequired(f"Connection {connection.pk} to {connection.provider} is {connection.status}.")
    if token := _fresh(connection, now, rejected):
        return token
    if connection.raw_refresh_token:
        return ""
    if token := _still_valid(connection, now, rejected):
        return token
    if not _break(connection, now):
        # Replaced since we read them: the claim will fail, and the next look finds the new ones.
        return ""
    if any(isinstance(text, Unreadable) for text in (connection.raw_access_token, connection.raw_refresh_token)):
        raise ReconnectRequired(f"The tokens of connection {connection.pk} can't be decrypted; see the log.")
    raise ReconnectRequired(f"The token of connection {connection.pk} has expired, and there is no refresh token.")


def _try_refresh(connection: Connection, transport: Transport | None, now: datetime) -> bool:
    """Refresh if nobody else is at it, and return whether the tokens are new now.

    Raises ReconnectRequired or ProviderUnavailable; no answer means that nothing is known, so nothing is changed.
    """
    if seconds := told_to_wait.seconds_left(connection, now=now):
        raise ProviderUnavailable(f"{connection.provider} asked for a pause of refreshes.", retry_after=seconds)
    current = settings()
    transport = transport or policy(current.client_policy).transport()
    provider = get_provider(connection.provider, settings=current, transport=transport)
    # Database, cache and what the provider publishes may have been waited for; the claim is for the refresh alone.
    now = max(now, timezone.now())
    claim = _claim(connection, _lasting(transport), now)
    if claim is None:
        return False
    try:
        tokens = _ask(connection, provider, transport, now)
        if tokens is None:
            return False
        if _store(connection, tokens, now):
            return True
        if _is_gone(connection):
            _give_back(connection, tokens, transport)
        return False
    except ProviderUnavailable as error:
        if error.retry_after:
            told_to_wait.note(connection, error.retry_after, now=max(now, timezone.now()))
        count("connection_refresh_failed", provider=connection.provider)
        logger.warning(
            "Connection %s was not refreshed: %s", connection.pk, error, extra={"event": "connection_refresh_failed"}
        )
        raise
    finally:
        _write(_rows().filter(pk=connection.pk, refresh_claimed_until=claim), refresh_claimed_until=None)


def _ask(connection: Connection, provider: Provider, transport: Transport, now: datetime) -> TokenResponse | None:
    """Return the new tokens, or None where the old ones were replaced while we asked."""
    try:
        return _patiently(provider, RefreshTokenRequest(connection.raw_refresh_token), transport)
    except ProviderRefused as error:
        if error.error not in DEAD:
            raise ProviderUnavailable(f"{connection.provider} refused the refresh: {error}") from None
    if not _break(connection, now):
        return None
    raise ReconnectRequired(f"{connection.provider} no longer honours connection {connection.pk}.")


def _patiently(provider: Provider, request: RefreshTokenRequest, transport: Transport) -> TokenResponse:
    """Ask, and ask again after a short pause where no usable answer came; the last failure is raised.

    The same refresh token is sent again: had the lost answer rotated it, a server allows its retry or refuses it.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    for pause in BACKOFF_SECONDS:
        try:
            return provider.refresh(request, transport=transport)
        except ProviderUnavailable as error:
            if error.retry_after or time.monotonic() + pause > end:
                raise
            time.sleep(pause)
    return provider.refresh(request, transport=transport)


def _lasting(transport: Transport) -> timedelta:
    """Return how long a claim lasts: where the project's transport waits for longer than ours, longer as well."""
    deadline = getattr(transport, "deadline", None)
    return CLAIM if deadline is None else max(CLAIM, timedelta(seconds=PATIENCE_SECONDS + deadline + 1))


def _claim(connection: Connection, lasting: timedelta, now: datetime) -> datetime | None:
    """Win the right to refresh the very tokens that were read, and return until when; None where another has it.

    It lapses, so that a killed process blocks nobody.
    """
    claim = now + lasting
    free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lt=now)
    won = _write(_as_read(connection).filter(free), refresh_claimed_until=claim)
    # Whoever held the row's lock may have held it for most of that.
    while won and (late := timezone.now()) > now + PROMPT:
        ours, now, claim = _as_read(connection).filter(refresh_claimed_until=claim), late, late + lasting
        won = _write(ours, refresh_claimed_until=claim)
    return claim if won else None


def _store(connection: Connection, tokens: TokenResponse, now: datetime) -> bool:
    new: dict[str, Any] = {
        "raw_access_token": tokens.access_token,
        # A provider that gives no new refresh token leaves the old one in force (RFC 6749 §6).
        "raw_refresh_token": tokens.refresh_token or connection.raw_refresh_token,
        "access_token_expires_at": expires_at(tokens, now),
        "scope": granted_scope(tokens, connection.scope),
        "updated_at": max(now, timezone.now()),
    }
    if not _write_patiently(_as_read(connection), **new):
        # Connected again, or disconnected, while we asked: those tokens count.
        return False
    for name, value in new.items():
        setattr(connection, name, value)
    using = router.db_for_write(Connection)
    send_after_commit(connection_refreshed, sender=Connection, using=using, connection=connection)
    return True


def _is_gone(connection: Connection) -> bool:
    """True where the row was removed; locked for it, so that no older snapshot of the caller's answers."""

    def look() -> bool:
        with transaction.atomic(using=router.db_for_write(Connection)):
            return not _rows().select_for_update().filter(pk=connection.pk).values_list("pk")

    return persistently(look)


def _give_back(connection: Connection, tokens: TokenResponse, transport: Transport) -> None:
    """Revoke what nobody holds: who disconnected meanwhile knew only the tokens before."""
    new = [tokens.refresh_token or "", tokens.access_token]
    if not revoke(connection, new, settings=settings(), transport=transport):
        logger.warning(
            "Connection %s was removed during a refresh, and %s did not confirm that the new tokens are revoked",
            connection.pk,
            connection.provider,
            extra={"event": "revocation_unconfirmed"},
        )


def _break(connection: Connection, now: datetime) -> bool:
    """Flip the state once; of several that notice, one sends the signal. False where the tokens are new meanwhile."""
    broken = Connection.Status.NEEDS_RECONNECT
    if _write(_as_read(connection), status=broken, updated_at=max(now, timezone.now())):
        connection.status = broken
        using = router.db_for_write(Connection)
        logger.warning("Connection %s needs its user to reconnect", connection.pk, extra={"event": "connection_broken"})
        send_after_commit(connection_broken, sender=Connection, using=using, connection=connection)
        return True
    return False


def _as_read(connection: Connection) -> QuerySet[Connection]:
    """The row, as long as it is active and its tokens are those that ``connection`` holds."""
    return _rows().filter(pk=connection.pk, status=Connection.Status.ACTIVE, updated_at=connection.updated_at)


def _reread(connection: Connection) -> None:
    try:
        connection.refresh_from_db(using=router.db_for_write(Connection))
    except Connection.DoesNotExist:
        raise ReconnectRequired(f"Connection {connection.pk} was removed.") from None


def _write(rows: QuerySet[Connection], **values: Any) -> int:
    """Update the row, again where that had to give way."""
    return persistently(partial(rows.update, **values))


def _write_patiently(rows: QuerySet[Connection], **values: Any) -> int:
    """Update the row, also where the database is away for a moment: the old tokens may be worth nothing any more."""
    database = databases[rows.db]
    for pause in STORE_PAUSES_SECONDS:
        try:
            return rows.update(**values)
        except DATABASE_ERRORS as error:
            if database.in_atomic_block or not is_outage(error):
                raise
        time.sleep(pause)
        database.close_if_unusable_or_obsolete()
    return rows.update(**values)


def _rows() -> QuerySet[Connection]:
    return Connection.objects.using(router.db_for_write(Connection))
