"""What a user allowed a client: remembered, compared with what is asked, and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet

from ..compiled import Insert, Update
from ..protocol.redirect_uris import is_claimed_https
from ..scope_registry import Scope, ScopeRegistry
from ..statement import Slot
from ..writing import Step, write
from .events import record, recording
from .models import AuthorizationCode, Client, Consent, DeviceCode, TokenFamily
from .remembered import Remembered
from .revoke import revoke_families


def _as_read() -> QuerySet[Consent]:
    names = {"user": "user", "client": "client", "scope": "before_scope", "resource": "before_resource"}
    return Consent.objects.filter(**{column: Slot(Consent, column, name) for column, name in names.items()})


_HOLD = Update(_as_read, scope=Slot(Consent, "scope", "before_scope"))
"""Writes what is there already: it finds the row as it was read, and keeps it so until the transaction ends."""

_REPLACE = Update(_as_read, **{name: Slot(Consent, name) for name in ("scope", "resource", "updated_at")})

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
    code: Step,
    user: Any,
    client: Client,
    scopes: tuple[str, ...],
    now: datetime,
    using: str,
    was_asked: bool,
) -> bool:
    """Store all that the user has ``allowed`` the client by now, and the ``code`` that relies on it; tell of both.

    ``scopes`` are those of the answer that was just given. False where ``code`` changes a row and finds it changed
    already. Where nobody was asked, what was read ``before`` is the answer: raises ConsentGone if it is no longer
    there. The consent's row is written in any case, in the code's transaction, so that a withdrawal comes either before
    all of this, or after it and finds what was made.
    """
    for consent in _ways(allowed, before=before, user=user, client=client, now=now, was_asked=was_asked):
        with recording(using):
            written, _ = write(using, consent, code)
            if not written:
                continue
            if consent[0] is not _HOLD:
                record("consent_given", client=client, user=user, using=using, scopes=list(scopes))
            record("code_issued", client=client, user=user, using=using, scopes=list(scopes))
            return True
    if not was_asked:
        raise ConsentGone
    return False


def _ways(
    allowed: Remembered, *, before: Remembered, user: Any, client: Client, now: datetime, was_asked: bool
) -> list[Step]:
    """Return how the consent is to be stored; the second way where the first does not find what was read."""
    store = (
        _STORE,
        {
            "user_id": user.pk,
            "client_id": client.pk,
            "scope": allowed.scope,
            "resource": allowed.resource,
            "created_at": now,
            "updated_at": now,
        },
    )
    if before == Remembered() or (was_asked and allowed != before):
        return [store]
    read = {
        "user": user.pk,
        "client": client.pk,
        "before_scope": before.scope,
        "before_resource": before.resource,
    }
    if allowed == before:
        return [(_HOLD, read), store] if was_asked else [(_HOLD, read)]
    return [(_REPLACE, read | {"scope": allowed.scope, "resource": allowed.resource, "updated_at": now})]


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
