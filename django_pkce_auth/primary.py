"""Managers that read the primary database: a replica may not know yet what was issued, or what was revoked."""

from __future__ import annotations

from typing import Any, Self

from django.db import models, router


class PrimaryManager(models.Manager[Any]):
    """Reads where is written, unless a database is named; so do the managers of relations that are made of it."""

    def get_queryset(self) -> models.QuerySet[Any]:
        found = super().get_queryset()
        if self._db:
            return found
        # Django tells a relation's manager its instance, which may be of a database that was named.
        hints = {"instance": self.instance} if hasattr(self, "instance") else {}
        return found.using(router.db_for_write(self.model, **hints))


class PrimaryQuerySet(models.QuerySet[Any]):
    def primary(self) -> Self:
        return self.using(router.db_for_write(self.model))


Primary = PrimaryManager.from_queryset(PrimaryQuerySet)


class PrimaryModel(models.Model):
    """Rows that are read again where they are written; so are columns that were left out when they were first read."""

    class Meta:
        abstract = True

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: models.QuerySet[Any] | None = None
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
