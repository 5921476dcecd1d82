"""What happened, told three ways: a signal, a line of the structured log, and, if it is on, a row of the audit table.

Ids and fingerprints only. The row is written in the transaction that it tells of, signal and line follow its commit,
so nothing is told of what was rolled back.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from django.db import router, transaction
from django.dispatch import Signal

from .. import conf, signals
from ..statement import together
from .audit_entry import AuditEntry
from .models import Client, TokenFamily

logger = logging.getLogger("django_pkce_auth.server")

EVENTS: Final[dict[str, tuple[Signal, int]]] = {
    "consent_given": (signals.consent_given, logging.INFO),
    "consent_withdrawn": (signals.consent_withdrawn, logging.INFO),
    "code_issued": (signals.code_issued, logging.INFO),
    "tokens_issued": (signals.tokens_issued, logging.INFO),
    "tokens_refreshed": (signals.tokens_refreshed, logging.INFO),
    "reuse_detected": (signals.reuse_detected, logging.WARNING),
    "family_revoked": (signals.family_revoked, logging.WARNING),
    "signing_key_added": (signals.signing_key_added, logging.INFO),
    "signing_key_retired": (signals.signing_key_retired, logging.WARNING),
    "client_authentication_failed": (signals.client_authentication_failed, logging.WARNING),
}


def recording(using: str) -> AbstractContextManager[None]:
    """Return the transaction that what is written needs together with its ``record``; none where that writes no row."""
    return together(using) if conf.settings().audit else nullcontext()


def record(
    event: str,
    *,
    client: Client | None = None,
    user: Any = None,
    family: int | None = None,
    using: str | None = None,
    at_once: bool = False,
    kept: bool = True,
    **facts: Any,
) -> None:
    """Tell that ``event`` happened; ``facts`` are JSON values and never a secret. One INSERT where the audit is on.

    ``at_once`` is for what no rollback undoes, such as a refusal; what is not ``kept`` is left out of the audit log.
    """
    using = using or router.db_for_write(TokenFamily)
    client_id = client.client_id if client else facts.get("client_id")
    key = None if user is None else user.pk
    user_id = None if key is None else str(key)
    if kept and conf.settings().audit:
        AuditEntry(event=event, client_id=client_id or "", user_id=user_id or "", family=family, facts=facts).save(
            force_insert=True, using=using
        )
    sent = {"client": client, "user": user, "family": family, **facts}
    line = {"event": event, "client_id": client_id, "user_id": user_id, "family": family, **facts}

    # No partial: Django 5.2 asks a callback that failed for its __qualname__, and fails over one that has none.
    def tell() -> None:
        _tell(event, sent, line)

    if at_once:
        tell()
    else:
        transaction.on_commit(tell, using=using, robust=True)


def _tell(event: str, sent: dict[str, Any], line: dict[str, Any]) -> None:
    signal, level = EVENTS[event]
    if logger.isEnabledFor(level):
        told = {name: value for name, value in line.items() if value is not None}
        shown = " ".join(f"{name}={value}" for name, value in told.items() if name != "event")
        logger.log(level, "%s %s", event, shown, extra={"event": event, "oauth": told})
    signal.send_robust(sender=TokenFamily, **sent)
