"""The one verb that ends access, behind every page, endpoint and detection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from .events import record
from .models import Client, TokenFamily


def revoke_family(
    family_id: int,
    *,
    reason: TokenFamily.Reason,
    now: datetime,
    using: str,
    client: Client | None = None,
    user: Any = None,
) -> bool:
    """End everything that the family holds, with one UPDATE; False where it had ended already.

    ``client`` and ``user`` are the family's, told with the event: the caller has read them, so nothing is read here.
    """
    families = TokenFamily.objects.using(using).filter(pk=family_id)
    with transaction.atomic(using=using):
        changed = families.filter(revoked_at=None).update(revoked_at=now, revoked_reason=reason)
        if changed:
            _record(family_id, client, user, reason, using)
    return bool(changed)


def revoke_families(
    families: QuerySet[TokenFamily], *, reason: TokenFamily.Reason, now: datetime, using: str, actor: Any = None
) -> int:
    """End all that ``families`` hold, with one UPDATE, and return how many ended by it.

    They are found once more to be told of, so by nothing that the UPDATE changes.
    """
    with transaction.atomic(using=using):
        changed = families.filter(revoked_at=None).update(revoked_at=now, revoked_reason=reason)
        ended = families.filter(revoked_at=now, revoked_reason=reason).select_related("client", "user")
        for family in ended if changed else ():
            _record(family.pk, family.client, family.user, reason, using, actor=actor)
    return changed


def _record(
    family_id: int, client: Client | None, user: Any, reason: TokenFamily.Reason, using: str, *, actor: Any = None
) -> None:
    by = None if actor is None else str(actor.pk)
    record("family_revoked", client=client, user=user, family=family_id, using=using, reason=reason.value, actor=by)
