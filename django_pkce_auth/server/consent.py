"""What a user allowed a client: remembered, compared with what is asked, and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, router, transaction

from ..protocol.redirect_uris import is_claimed_https
from ..scope_registry import Scope, ScopeRegistry
from .events import record
from .models import AuthorizationCode, Client, Consent, DeviceCode, TokenFamily
from .remembered import Remembered
from .revoke import revoke_families


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
) -> None:
    """Store all that the user has ``allowed`` the client by now: an upsert where it is more than ``before``.

    ``scopes`` are those of the answer that was just given.
    """
    if allowed == before:
        return
    row = Consent(
        user=user, client=client, scope=allowed.scope, resource=allowed.resource, created_at=now, updated_at=now
    )
    # Two approvals at the same moment make one row; MariaDB and MySQL take no conflict target.
    by_target = connections[using].features.supports_update_conflicts_with_target
    Consent.objects.using(using).bulk_create(
        [row],
        update_conflicts=True,
        update_fields=["scope", "resource", "updated_at"],
        unique_fields=["user", "client"] if by_target else None,
    )
    record("consent_given", client=client, user=user, using=using, scopes=list(scopes))


def withdraw(*, user: Any, client: Client, now: datetime, actor: Any = None) -> int:
    """Forget the consent and end all access that came of it; return how many families ended.

    ``actor`` is the administrator who does it for the user; None is the user.

    Codes go first: one that is being redeemed this moment holds its row until its family is there to be found.
    """
    using = router.db_for_write(TokenFamily)
    with transaction.atomic(using=using):
        AuthorizationCode.objects.using(using).filter(user=user, client=client, family=None).delete()
        DeviceCode.objects.using(using).filter(user=user, client=client, family=None).delete()
        families = TokenFamily.objects.using(using).filter(user=user, client=client)
        reason = TokenFamily.Reason.USER if actor is None else TokenFamily.Reason.ADMIN
        ended = revoke_families(families, reason=reason, now=now, using=using, actor=actor or user)
        if Consent.objects.using(using).filter(user=user, client=client).delete()[0]:
            record("consent_withdrawn", client=client, user=user, using=using)
    return ended
