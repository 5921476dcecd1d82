"""Queries that speak the domain. All of them read the primary database: a replica may not know yet what was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.db import models, router
from django.db.models import F, FilteredRelation, Q

from ..secrets import digest, same
from .remembered import Remembered

if TYPE_CHECKING:
    from .models import Client


@dataclass(frozen=True, slots=True)
class AskingClient:
    """A client with its redirect URIs, and what one user allowed it before, read in one query."""

    client: Client
    redirect_uris: tuple[str, ...]
    remembered: Remembered


USE_NOTED_EVERY = timedelta(hours=1)
FIRST_USE_NOTED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A row of ClientSecret, as it was joined to its client."""

    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def use_is_due(self, now: datetime) -> bool:
        """True where a use at ``now`` is to be noted: at most once an hour, so nearly every request writes nothing.

        The first use is noted unless it follows at once on the registration.
        """
        if self.last_used_at is None:
            return now - self.created_at > FIRST_USE_NOTED_AFTER
        return now - self.last_used_at > USE_NOTED_EVERY


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client with its secrets, read in one query."""

    client: Client
    secrets: tuple[StoredSecret, ...] = field(repr=False)

    def matching_secret(self, raw: str, now: datetime) -> StoredSecret | None:
        """Return the secret that ``raw`` is, if it is still valid."""
        presented = digest(raw)
        # Every stored digest is compared, so the time taken tells nothing about which one matched.
        matches = [stored for stored in self.secrets if same(stored.digest, presented) & stored.is_valid(now)]
        return matches[0] if matches else None


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
                consented_resource=F("consent__resource"),
            )
        )
        if not rows or rows[0].client_id != client_id:
            return None
        uris = tuple(row.registered_uri for row in rows if row.registered_uri is not None)
        return AskingClient(rows[0], uris, Remembered(rows[0].consented_scope or "", rows[0].consented_resource or ""))


class TokenQuerySet(PrimaryQuerySet):
    def by_raw(self, raw: str) -> Self:
        return self.primary().filter(digest=digest(raw))


def with_secrets(queryset: models.QuerySet[Any], path: str) -> models.QuerySet[Any]:
    """Join the secrets of the client at ``path``: a row for each secret, one without where it has none."""
    joined: models.QuerySet[Any] = queryset.annotate(
        secret_digest=F(f"{path}secrets__digest"),
        secret_created_at=F(f"{path}secrets__created_at"),
        secret_expires_at=F(f"{path}secrets__expires_at"),
        secret_last_used_at=F(f"{path}secrets__last_used_at"),
    )
    return joined


def known_client(client: Client, rows: Sequence[Any]) -> KnownClient:
    secrets = (
        StoredSecret(row.secret_digest, row.secret_created_at, row.secret_expires_at, row.secret_last_used_at)
        for row in rows
        if row.secret_digest is not None
    )
    return KnownClient(client, tuple(secrets))
