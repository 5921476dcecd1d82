"""A connection's access token: valid when it is handed out, refreshed once for however many wait for it."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..conf import policy, settings
from ..encryption import Unreadable
from ..protocol.token import RefreshTokenRequest, TokenResponse
from ..signals import connection_broken, connection_refreshed, send_after_commit
from ..transport import Transport
from .errors import ProviderRefused, ProviderUnavailable, ReconnectRequired
from .flow import expires_at, granted_scope
from .models import Connection
from .providers import get_provider

logger = logging.getLogger("django_pkce_auth.client")

AHEAD = timedelta(seconds=60)
"""How long before its end a token is replaced, so that it is valid when it arrives."""
CLAIM = timedelta(seconds=15)
"""How long one refresh may take before another process may try; longer than the transport's deadline."""
POLL_SECONDS = 0.05


def access_token(connection: Connection, *, transport: Transport | None, now: datetime) -> str:
    """Return a valid token; see ``Connection.access_token``."""
    end = time.monotonic() + CLAIM.total_seconds()
    while (usable := _usable(connection, now)) is None:
        if _claim(connection, now):
            _reread(connection)
            if _usable(connection, now) is None:
                _refresh(connection, transport, now)
            else:
                _release(connection)
        elif time.monotonic() > end:
            raise ProviderUnavailable("Another process has been refreshing this connection for too long; try again.")
        else:
            time.sleep(POLL_SECONDS)
            _reread(connection)
            now = max(now, timezone.now())
    return usable


def _usable(connection: Connection, now: datetime) -> str | None:
    """Return the token where it needs no refresh, None where it does; raises ReconnectRequired."""
    if connection.status != Connection.Status.ACTIVE:
        raise ReconnectRequired(f"Connection {connection.pk} to {connection.provider} is {connection.status}.")
    token, until = connection.raw_access_token, connection.access_token_expires_at
    if isinstance(token, Unreadable) or isinstance(connection.raw_refresh_token, Unreadable):
        _break(connection, now)
        raise ReconnectRequired(f"The tokens of connection {connection.pk} can't be decrypted; see the log.")
    if token and (until is None or now + AHEAD < until):
        return token
    if connection.raw_refresh_token:
        return None
    if token and until is not None and now < until:
        return token
    _break(connection, now)
    raise ReconnectRequired(f"The token of connection {connection.pk} has expired, and there is no refresh token.")


def _claim(connection: Connection, now: datetime) -> bool:
    """Win the right to refresh, decided by the database; it lapses, so that a killed process blocks nobody."""
    free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lt=now)
    rows = _rows().filter(free, pk=connection.pk, status=Connection.Status.ACTIVE)
    return bool(rows.update(refresh_claimed_until=now + CLAIM))


def _release(connection: Connection) -> None:
    _rows().filter(pk=connection.pk).update(refresh_claimed_until=None)


def _reread(connection: Connection) -> None:
    connection.refresh_from_db(using=router.db_for_write(Connection))


def _refresh(connection: Connection, transport: Transport | None, now: datetime) -> None:
    current = settings()
    transport = transport or policy(current.client_policy).transport()
    try:
        provider = get_provider(connection.provider, settings=current, transport=transport)
        request = RefreshTokenRequest(connection.raw_refresh_token)
        tokens = provider.refresh(request, transport=transport)
    except ProviderRefused as error:
        if error.error != "invalid_grant":
            _release(connection)
            raise ProviderUnavailable(f"{connection.provider} refused the refresh: {error}") from None
        _break(connection, now)
        raise ReconnectRequired(f"{connection.provider} no longer honours connection {connection.pk}.") from None
    except BaseException:
        # No answer means that nothing is known: the state stays, and the next call tries again.
        _release(connection)
        raise
    _store(connection, tokens, now)


def _store(connection: Connection, tokens: TokenResponse, now: datetime) -> None:
    connection.raw_access_token = tokens.access_token
    connection.raw_refresh_token = tokens.refresh_token or connection.raw_refresh_token
    connection.access_token_expires_at = expires_at(tokens, now)
    connection.scope = granted_scope(tokens, connection.scope)
    connection.refresh_claimed_until = None
    connection.updated_at = now
    using = router.db_for_write(Connection)
    connection.save(
        using=using,
        update_fields=[
            "raw_access_token",
            "raw_refresh_token",
            "access_token_expires_at",
            "scope",
            "refresh_claimed_until",
            "updated_at",
        ],
    )
    send_after_commit(connection_refreshed, sender=Connection, using=using, connection=connection)


def _break(connection: Connection, now: datetime) -> None:
    """Flip the state once; of several that notice, one sends the signal."""
    active = _rows().filter(pk=connection.pk, status=Connection.Status.ACTIVE)
    broken = Connection.Status.NEEDS_RECONNECT
    if active.update(status=broken, refresh_claimed_until=None, updated_at=now):
        using = router.db_for_write(Connection)
        logger.warning("Connection %s needs its user to reconnect", connection.pk, extra={"event": "connection_broken"})
        send_after_commit(connection_broken, sender=Connection, using=using, connection=connection)
    connection.status = broken


def _rows() -> QuerySet[Connection]:
    return Connection.objects.using(router.db_for_write(Connection))
