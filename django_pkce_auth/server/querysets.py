"""Queries that speak the domain. All of them read the primary database: a replica may not know yet what was revoked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.db import models, router
from django.db.models import F, FilteredRelation, Q

from .remembered import Remembered

if TYPE_CHECKING:
    from .models import Client


@dataclass(frozen=True, slots=True)
class AskingClient:
    """A client with its redirect URIs, and what one user allowed it before, read in one query."""

    client: Client
    redirect_uris: tuple[str, ...]
    remembered: Remembered


class PrimaryQuerySet(models.QuerySet[Any]):
    def primary(self) -> Self:
        return self.using(router.db_for_write(self.model))


class ClientQuerySet(PrimaryQuerySet):
    def asking(self, client_id: str, *, user: Any) -> AskingClient | None:
        """Return the client that an authorization request names, or None; ``user`` is None for a visitor. One query."""
        clients = self.primary().filter(client_id=client_id).select_related("registered_by")
        rows = list(
            clients.annotate(
                consent=FilteredRelation("consents", condition=Q(consents__user=user)),
                registered_uri=F("redirect_uris__uri"),
                consented_scope=F("consent__scope"),
                consented_resource=F("consent__resource"),
            )
        )
        if not rows or rows[0].client_id != client_id:
            return None
        uris = tuple(row.registered_uri for row in rows if row.registered_uri is not None)
        return AskingClient(rows[0], uris, Remembered(rows[0].consented_scope or "", rows[0].consented_resource or ""))
