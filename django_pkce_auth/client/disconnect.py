"""Ending a connection: at the provider if it can be reached, and here in any case."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from django.db import router, transaction

from ..conf import Settings
from ..outages import persistently
from ..signals import connection_removed, send_after_commit
from ..transport import Transport
from .errors import ConnectError
from .models import Connection
from .providers import get_provider

logger = logging.getLogger("django_pkce_auth.client")


def disconnect(connection: Connection, *, settings: Settings, transport: Transport) -> bool:
    """Remove the connection, and return whether the provider confirmed that its tokens are revoked (RFC 7009).

    The row goes first: whatever the provider does or does not do, nothing here uses the tokens from then on. Where
    another request removed it already, it is that one's to revoke and to say what came of it; the answer is True.
    """
    tokens = persistently(partial(_remove, connection))
    return True if tokens is None else revoke(connection, tokens, settings=settings, transport=transport)


def _remove(connection: Connection) -> tuple[str, str] | None:
    """Return the tokens of the row that is removed by this; None where it is gone already."""
    using, pk = router.db_for_write(Connection), connection.pk
    row = Connection.objects.using(using).filter(pk=pk)
    with transaction.atomic(using=using):
        # What a refresh has stored by now is what counts; written to first, so that none stores more meanwhile.
        if not row.update(refresh_claimed_until=None):
            return None
        tokens: tuple[str, str] = row.values_list("raw_refresh_token", "raw_access_token").get()
        row.delete()
        send_after_commit(
            connection_removed, sender=Connection, using=using, connection=connection, user=connection.user
        )
    return tokens


def revoke(connection: Connection, tokens: Iterable[str], *, settings: Settings, transport: Transport) -> bool:
    """Return whether the provider confirmed that the tokens of a connection that was removed here are revoked."""
    try:
        provider = get_provider(connection.provider, settings=settings, transport=transport)
        # Both, as ending the refresh token ends the access token at some servers only.
        confirmed = [provider.revoke(token, transport=transport) for token in tokens if token]
    except ConnectError as error:
        logger.warning(
            "Connection %s was removed here, but the provider could not be told: %s",
            connection.pk,
            error,
            extra={"event": "revocation_unconfirmed"},
        )
        return False
    return bool(confirmed) and all(confirmed)
