"""What a user allowed a client: remembered, compared with what is asked, and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet

from .. import conf
from ..compiled import Insert, Update
from ..protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError
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

_STORE = Insert(Consent, unless_there=True)

TRIES: Final = 5
"""How often an answer is added to what others make of the consent meanwhile."""


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


def remembered(*, user: Any, client: Client, using: str) -> Remembered | None:
    """Return what the user allowed the client, as it is now."""
    consent = Consent.objects.using(using).filter(user=user, client=client).first()
    return consent.remembered if consent else None


def remember(
    before: Remembered | None,
    *,
    code: Step,
    user: Any,
    client: Client,
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
    settings: conf.Settings,
    now: datetime,
    using: str,
    was_asked: bool,
) -> bool:
    """Add the answer that was just given to what was allowed ``before``, with the ``code`` that relies on it.

    False where ``code`` changes a row and finds it changed already. The consent's row is written in any case, in the
    code's transaction, so that a withdrawal comes either before all of this, or after it and finds what was made. It is
    written only over what was read: where that is no longer there, the answer is added to what is there instead. But
    where what was read is the answer, as nobody was asked: raises ConsentGone. Raises OAuthError where it is another
    one at every try, or the user or the client is gone.
    """
    nothing = Remembered()
    found = None if before == nothing else before
    relies = not was_asked and found is not None
    for _ in range(TRIES):
        allowed = (found or nothing).adding(scopes, resources, own=settings.resources.own.identifier)
        consent = _step(allowed, before=found, user=user, client=client, now=now)
        if _stored(consent, code, user=user, client=client, scopes=scopes, using=using):
            return True
        if relies:
            raise ConsentGone
        read, found = found, remembered(user=user, client=client, using=using)
        if read == found and isinstance(code[0], Update):
            return False
    raise changed()


def _stored(consent: Step, code: Step, *, user: Any, client: Client, scopes: tuple[str, ...], using: str) -> bool:
    """Store both and tell of them, or return False; raises OAuthError where the user or the client is gone."""
    try:
        with recording(using):
            written, _ = write(using, consent, code)
            if written:
                if consent[0] is not _HOLD:
                    record("consent_given", client=client, user=user, using=using, scopes=list(scopes))
                record("code_issued", client=client, user=user, using=using, scopes=list(scopes))
    except IntegrityError as error:
        raise changed() from error
    return written


def changed() -> OAuthError:
    """Return the error for an answer that could not be stored."""
    return OAuthError(
        TEMPORARILY_UNAVAILABLE,
        "Your account, this app, or what you allow it was changed at the same moment; go back and try again.",
    )


def _step(allowed: Remembered, *, before: Remembered | None, user: Any, client: Client, now: datetime) -> Step:
    """Return what makes ``allowed`` of the consent that was read ``before``, and of no other."""
    if before is None:
        moments = {"created_at": now, "updated_at": now}
        owner = {"user_id": user.pk, "client_id": client.pk}
        return _STORE, {**owner, "scope": allowed.scope, "resource": allowed.resource, **moments}
    read = {
        "user": user.pk,
        "client": client.pk,
        "before_scope": before.scope,
        "before_resource": before.resource,
    }
    if allowed == before:
        return _HOLD, read
    return _REPLACE, read | {"scope": allowed.scope, "resource": allowed.resource, "updated_at": now}


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
