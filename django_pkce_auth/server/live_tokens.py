"""Tokens that are valid at this moment, read with all that decides about it: the path that every API call takes.

One statement, and hardly anything is made of its row before somebody asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import models, router
from django.db.models.functions import Coalesce

from ..compiled import Row, Select, columns_but
from ..protocol.scopes import parse_scope
from ..reading import Lookup
from ..secrets import digest
from ..statement import Slot, plain_field
from .models import AccessToken, Client, RefreshToken
from .validity import identifiers, is_live

logger = logging.getLogger("django_pkce_auth.server")


class _Columns(NamedTuple):
    """What decides, and what is said of the token; named as in the query."""

    created_at: datetime
    expires_at: datetime
    family_id: int
    family__user_id: Any
    family__scope: str
    family__resource: str | None
    family__expires_at: datetime | None
    family__last_used_at: datetime | None
    family__revoked_at: datetime | None
    family__client_id: int
    family__client__client_id: str
    family__client__disabled_at: datetime | None
    family__client__service_user_id: Any


# What only one of the two kinds has; a refresh token that is valid has nothing there.
_OWN: Final[dict[Any, tuple[str, str]]] = {
    AccessToken: ("scope", "resource"),
    RefreshToken: ("superseded_at", "superseded_at"),
}
_CLIENT, _WHO = "family__client", "family__client__service_user"


def _tokens(model: type[AccessToken | RefreshToken]) -> models.QuerySet[Any]:
    # Who it acts for: a person, or else the client's service user; so the users' table is joined once.
    who = Coalesce(
        "family__user_id", "family__client__service_user_id", output_field=plain_field(get_user_model()._meta.pk)
    )
    found: models.QuerySet[Any] = model._default_manager.filter(digest=Slot(model, "digest")).annotate(who=who)
    return found


def _told(model: type[AccessToken | RefreshToken]) -> models.QuerySet[Any]:
    """Of a person no more than what is told: the name."""
    user: Any = get_user_model()
    return _tokens(model).defer(*columns_but(_WHO, user, [user.USERNAME_FIELD, "is_active"]))


# Of a client: what only the authorization server's own pages and endpoints look at.
_SERVERS_OWN: Final = (
    "default_scope",
    "grant_types",
    "rotates_refresh_tokens",
    "token_format",
    "introspects",
    "web_origins",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "registered_by",
    "created_at",
)


def _granted(model: type[AccessToken]) -> models.QuerySet[Any]:
    return _tokens(model).defer(*(f"{_CLIENT}__{column}" for column in _SERVERS_OWN))


def _select(model: Any, tokens: Callable[[Any], models.QuerySet[Any]], *clients: str) -> Select:
    columns = (*_Columns._fields, *_OWN[model])
    return Select(partial(tokens, model), values=columns, instances=(*clients, _WHO), keys={_WHO: "who"})


_SELECT: Final = {model: _select(model, _told) for model in _OWN}
_WITH_CLIENT: Final = _select(AccessToken, _granted, _CLIENT)


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token that is valid. ``user`` is None without a person; ``service_user`` is who acts then, if anybody."""

    columns: _Columns
    own: tuple[str | None, str | None]
    """Its own scope and resource, None where they are the family's."""
    user: Any
    service_user: Any
    row: Row = field(repr=False)

    @property
    def ends_at(self) -> datetime:
        """When it ends at the latest: its own expiry, or its family's."""
        return min(self.columns.expires_at, self.columns.family__expires_at or self.columns.expires_at)

    @property
    def scopes(self) -> tuple[str, ...]:
        scope, _ = self.own
        return parse_scope(self.columns.family__scope if scope is None else scope)

    @property
    def resources(self) -> tuple[str, ...]:
        _, resource = self.own
        return identifiers(self.columns.family__resource if resource is None else resource)

    @property
    def client_id(self) -> str:
        return self.columns.family__client__client_id

    def client(self) -> Client:
        """Return the client, made of what was read along."""
        client: Client = self.row.instance(_CLIENT)
        return client


def lookup(model: type[AccessToken | RefreshToken], raw: str) -> Lookup:
    """Return what finds the token, whether it is valid or not; of who it acts for only the name is read along."""
    return _SELECT[model], {"digest": digest(raw)}


def find_live_token_with_client(raw: str, *, now: datetime) -> LiveToken | None:
    """Return the access token if it is valid, with its client. One query."""
    rows = _WITH_CLIENT.rows(router.db_for_write(AccessToken), digest=digest(raw))
    return live_token(AccessToken, rows, now=now)


def live_token(model: type[AccessToken | RefreshToken], rows: Sequence[Row], *, now: datetime) -> LiveToken | None:
    """Return the token that was found if it is valid: it AND its family AND its client AND who it acts for."""
    if not rows:
        _log("unknown")
        return None
    (row,) = rows
    *decisive, first, second = row.values
    found = _Columns(*decisive)
    if found.expires_at <= now or (model is RefreshToken and first is not None):
        _log("expired" if found.expires_at <= now else "superseded", found)
        return None
    who = row.instance(_WHO)
    if not is_live(
        now,
        revoked_at=found.family__revoked_at,
        expires_at=found.family__expires_at,
        disabled_at=found.family__client__disabled_at,
        who=who,
    ):
        _log(_why_ended(found, now), found)
        return None
    is_person = found.family__user_id is not None
    return LiveToken(found, (first, second), who if is_person else None, None if is_person else who, row)


def _why_ended(found: _Columns, now: datetime) -> str:
    if found.family__revoked_at is not None:
        return "revoked"
    if found.family__expires_at is not None and found.family__expires_at <= now:
        return "expired"
    return "user inactive" if found.family__client__disabled_at is None else "client disabled"


def _log(why: str, found: _Columns | None = None) -> None:
    """Say it in the log and to nobody else: for the client an unknown, an expired and a revoked token are one."""
    facts = {"reason": why}
    if found is not None:
        facts |= {"client_id": found.family__client__client_id, "family": str(found.family_id)}
    logger.info("A token is refused: %s", why, extra={"event": "token_refused", "oauth": facts})
