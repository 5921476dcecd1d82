"""Queries of the primary database: a replica may not know yet what was revoked."""

from __future__ import annotations

from typing import Any, Self

from django.db import models, router


class PrimaryQuerySet(models.QuerySet[Any]):
    def primary(self) -> Self:
        return self.using(router.db_for_write(self.model))
