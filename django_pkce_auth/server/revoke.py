"""The one verb that ends access, behind every page, endpoint and detection."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from ..signals import family_revoked, send_after_commit
from .models import TokenFamily

logger = logging.getLogger("django_pkce_auth.server")


def revoke_family(family_id: int, *, reason: TokenFamily.Reason, now: datetime, using: str) -> bool:
    """End everything that the family holds, with one UPDATE; False where it had ended already."""
    with transaction.atomic(using=using):
        live = TokenFamily.objects.using(using).filter(pk=family_id, revoked_at=None)
        changed = live.update(revoked_at=now, revoked_reason=reason)
        if changed:
            send_after_commit(family_revoked, sender=TokenFamily, using=using, family=family_id, reason=reason.value)
    if changed:
        logger.warning(
            "Token family %s revoked: %s",
            family_id,
            reason.label,
            extra={"event": "family_revoked", "family": family_id, "reason": reason.value},
        )
    return bool(changed)
