"""Tokens that are valid at this moment, read with all that decides about it: the path that every API call takes.

One statement, and hardly anything is made of its row before somebody asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import router

from ..compiled import Row, Select, Slot
from ..protocol.scopes import parse_scope
from ..secrets import digest
from .models import AccessToken, Client, RefreshToken
from .validity import identifiers, is_live


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


_OWN: Final[dict[Any, tuple[str, ...]]] = {AccessToken: ("scope", "resource"), RefreshToken: ("superseded_at",)}
_CLIENT, _USER, _SERVICE_USER = "family__client", "family__user", "family__client__service_user"


def _select(model: type[AccessToken | RefreshToken]) -> Select:
    return Select(
        lambda: model._default_manager.filter(digest=Slot(model, "digest")),
        values=(*_Columns._fields, *_OWN[model]),
        instances=(_CLIENT, _USER, _SERVICE_USER),
    )


_SELECT: Final = {model: _select(model) for model in _OWN}


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token that is valid. ``service_user`` is who acts where there is no user."""

    created_at: datetime
    expires_at: datetime
    ends_at: datetime
    """When it ends at the latest: its own expiry, or its family's."""
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    family: int
    last_used_at: datetime | None
    client_key: int
    client_id: str
    user: Any
    service_user: Any
    row: Row = field(repr=False)

    def client(self) -> Client:
        """Return the client, made of what was read."""
        client: Client = self.row.instance(_CLIENT)
        return client


def find_live_token(model: type[AccessToken | RefreshToken], raw: str, *, now: datetime) -> LiveToken | None:
    """Return the token if it is valid: it AND its family AND its client AND who it acts for. One query."""
    rows = _SELECT[model].rows(router.db_for_write(model), digest=digest(raw))
    if not rows:
        return None
    (row,) = rows
    values = row.values
    found, own = _Columns(*values[: len(_Columns._fields)]), values[len(_Columns._fields) :]
    if found.expires_at <= now or (model is RefreshToken and own[0] is not None):
        return None
    user = None if found.family__user_id is None else row.instance(_USER)
    acts_for_itself = user is None and found.family__client__service_user_id is not None
    service_user = row.instance(_SERVICE_USER) if acts_for_itself else None
    if not is_live(
        now,
        revoked_at=found.family__revoked_at,
        expires_at=found.family__expires_at,
        disabled_at=found.family__client__disabled_at,
        who=user or service_user,
    ):
        return None
    scope, resource = own if model is AccessToken else (None, None)
    return LiveToken(
        created_at=found.created_at,
        expires_at=found.expires_at,
        ends_at=min(found.expires_at, found.family__expires_at or found.expires_at),
        scopes=parse_scope(found.family__scope if scope is None else scope),
        resources=identifiers(found.family__resource if resource is None else resource),
        family=found.family_id,
        last_used_at=found.family__last_used_at,
        client_key=found.family__client_id,
        client_id=found.family__client__client_id,
        user=user,
        service_user=service_user,
        row=row,
    )
