"""Queries that speak the domain. All of them read the primary database: a replica may not know yet what was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models, router
from django.db.models import F, FilteredRelation, Q

from ..secrets import digest, same

if TYPE_CHECKING:
    from .models import Client


@dataclass(frozen=True, slots=True)
class AskingClient:
    """A client with its redirect URIs, and what one user allowed it before (None: nothing), read in one query."""

    client: Client
    redirect_uris: tuple[str, ...]
    consented_scope: str | None


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client with the digests of its secrets, read in one query."""

    client: Client
    secrets: tuple[tuple[bytes, datetime | None], ...] = field(repr=False)

    def has_secret(self, raw: str, now: datetime) -> bool:
        presented = digest(raw)
        # Every stored digest is compared, so the time taken tells nothing about which one matched.
        valid = [stored for stored, expires_at in self.secrets if not expires_at or now < expires_at]
        return sum(same(stored, presented) for stored in valid) > 0


class PrimaryQuerySet(models.QuerySet[Any]):
    def primary(self) -> Self:
        return self.using(router.db_for_write(self.model))


class ClientQuerySet(PrimaryQuerySet):
    def known(self, client_id: str) -> KnownClient | None:
        """Return the client of exactly this identifier, or None. One query."""
        rows = list(with_secrets(self.primary().filter(client_id=client_id), ""))
        # Some databases compare text without regard to case; an identifier is equal or it is another one.
        return known_client(rows[0], rows) if rows and rows[0].client_id == client_id else None

    def asking(self, client_id: str, *, user: Any) -> AskingClient | None:
        """Return the client that an authorization request names, or None; ``user`` is None for a visitor. One query."""
        clients = self.primary().filter(client_id=client_id).select_related("registered_by")
        rows = list(
            clients.annotate(
                consent=FilteredRelation("consents", condition=Q(consents__user=user)),
                registered_uri=F("redirect_uris__uri"),
                consented_scope=F("consent__scope"),
            )
        )
        if not rows or rows[0].client_id != client_id:
            return None
        uris = tuple(row.registered_uri for row in rows if row.registered_uri is not None)
        return AskingClient(rows[0], uris, rows[0].consented_scope)


class TokenQuerySet(PrimaryQuerySet):
    def by_raw(self, raw: str) -> Self:
        return self.primary().filter(digest=digest(raw))


def with_secrets(queryset: models.QuerySet[Any], path: str) -> models.QuerySet[Any]:
    """Join the secrets of the client at ``path``: a row for each secret, one without where it has none."""
    joined: models.QuerySet[Any] = queryset.annotate(
        secret_digest=F(f"{path}secrets__digest"), secret_expires_at=F(f"{path}secrets__expires_at")
    )
    return joined


def known_client(client: Client, rows: Sequence[Any]) -> KnownClient:
    found = ((row.secret_digest, row.secret_expires_at) for row in rows)
    return KnownClient(client, tuple((stored, expires_at) for stored, expires_at in found if stored is not None))
