"""What a user allowed a client: remembered, compared with what is asked, and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import router, transaction

from ..compiled import Insert, Update
from ..protocol.redirect_uris import is_claimed_https
from ..scope_registry import Scope, ScopeRegistry
from ..statement import Slot
from .events import record
from .models import AuthorizationCode, Client, Consent, DeviceCode, TokenFamily
from .remembered import Remembered
from .revoke import revoke_families

_HOLD = Update(
    lambda: Consent.objects.filter(**{name: Slot(Consent, name) for name in ("user", "client", "scope", "resource")}),
    scope=Slot(Consent, "scope"),
)
"""Writes what is there already: it finds the row as it was read, and keeps it so until the transaction ends."""

_STORE = Insert(Consent, unique=["user", "client"], updating=["scope", "resource", "updated_at"])
"""Two approvals at the same moment make one row."""


class ConsentGone(Exception):
    """The consent that an approval relies on was withdrawn since it was read."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the prompt asks of one user: the scopes apart by whether they were granted before."""

    new: tuple[Scope, ...]
    granted: tuple[Scope, ...]
    must_ask: bool
    """False where the answer is known already, so that no page is needed."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return (*self.new, *self.granted)


def question(
    client: Client,
    *,
    scopes: tuple[str, ...],
    before: tuple[str, ...],
    redirect_uri: str,
    registry: ScopeRegistry,
    forced: bool,
) -> Question:
    """Compare what is asked with what was allowed ``before``.

    A remembered answer counts only for a client whose identity is proven, by its secret or by the https host that
    the code goes to: anybody can pretend to be another public client (RFC 9700 §4.13, OAuth 2.1 §7.3.1).
    """
    covered = registry.expand(before)
    asked = [registry[name] for name in scopes]
    new = tuple(scope for scope in asked if scope.name not in covered)
    is_proven = client.is_confidential or is_claimed_https(redirect_uri)
    known = is_proven and (client.first_party or not new)
    return Question(
        new=new,
        granted=tuple(scope for scope in asked if scope.name in covered),
        must_ask=forced or not known,
    )


def remember(
    allowed: Remembered,
    *,
    before: Remembered,
    user: Any,
    client: Client,
    scopes: tuple[str, ...],
    now: datetime,
    using: str,
    was_asked: bool,
) -> None:
    """Store all that the user has ``allowed`` the client by now; one statement mostly, within a transaction.

    ``scopes`` are those of the answer that was just given. Where nobody was asked, what was read ``before`` is the
    answer: raises ConsentGone if it is no longer there. The row is written in any case, before what relies on it, so
    that a withdrawal comes either before all of this, or after it and finds what was made.
    """
    stands = before != Remembered() and (allowed == before or not was_asked)
    if stands and _still_there(allowed, before=before, user=user, client=client, now=now, using=using):
        if allowed == before:
            return
    elif stands and not was_asked:
        raise ConsentGone
    else:
        _STORE.run(
            using,
            user_id=user.pk,
            client_id=client.pk,
            scope=allowed.scope,
            resource=allowed.resource,
            created_at=now,
            updated_at=now,
        )
    record("consent_given", client=client, user=user, using=using, scopes=list(scopes))


def _still_there(
    allowed: Remembered, *, before: Remembered, user: Any, client: Client, now: datetime, using: str
) -> bool:
    """Make ``allowed`` of what was read ``before``; False where it is not what is there by now."""
    if allowed == before:
        return bool(_HOLD.run(using, user=user.pk, client=client.pk, scope=before.scope, resource=before.resource))
    rows = Consent.objects.using(using).filter(user=user, client=client, scope=before.scope, resource=before.resource)
    return bool(rows.update(scope=allowed.scope, resource=allowed.resource, updated_at=now))


def withdraw(*, user: Any, client: Client, now: datetime, actor: Any = None) -> int:
    """Forget the consent and end all access that came of it; return how many families ended.

    ``actor`` is the administrator who does it for the user; None is the user.

    The consent goes first: an approval that relies on it holds its row until the code is there to be found. Then the
    codes: one that is being redeemed this moment holds its row until its family is.
    """
    using = router.db_for_write(TokenFamily)
    with transaction.atomic(using=using):
        withdrawn, _ = Consent.objects.using(using).filter(user=user, client=client).delete()
        AuthorizationCode.objects.using(using).filter(user=user, client=client, family=None).delete()
        DeviceCode.objects.using(using).filter(user=user, client=client, family=None).delete()
        families = TokenFamily.objects.using(using).filter(user=user, client=client)
        reason = TokenFamily.Reason.USER if actor is None else TokenFamily.Reason.ADMIN
        ended = revoke_families(families, reason=reason, now=now, using=using, actor=actor or user)
        if withdrawn:
            record("consent_withdrawn", client=client, user=user, using=using)
    return ended
