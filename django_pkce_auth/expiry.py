"""Removing what expired, a bounded number of rows at a time. Housekeeping: every use checks the expiry itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models, router, transaction


@dataclass(frozen=True, slots=True)
class Expiring:
    """A table with an indexed ``expires_at``.

    ``kept_for`` is how long a row stays beyond its expiry; ``holder`` names the foreign key to the row that is there
    for what it holds, and goes with the last of it.
    """

    model: type[models.Model]
    kept_for: timedelta = timedelta()
    holder: str = ""

    @property
    def name(self) -> str:
        return str(self.model._meta.verbose_name_plural)

    def purge(self, *, limit: int, now: datetime) -> int:
        """Delete the ``limit`` rows that expired first, in one short transaction; return how many there were.

        Fewer than ``limit`` means that the table is done. Rows that another transaction holds are left for later, so
        this waits for nobody and nobody for long.
        """
        using = router.db_for_write(self.model)
        columns = ["pk", f"{self.holder}_id"] if self.holder else ["pk"]
        with transaction.atomic(using=using):
            oldest = unlocked(self._expired(now, using)).order_by("expires_at").values_list(*columns)
            rows = list(oldest[: at_most(limit, using)])
            if rows:
                # By key: MariaDB and MySQL take no LIMIT in a subquery, and the keys are locked already.
                self.model._default_manager.using(using).filter(pk__in=[row[0] for row in rows]).delete()
            if self.holder:
                self._purge_holders({row[1] for row in rows if row[1] is not None}, using)
        return len(rows)

    def waiting(self, *, limit: int, now: datetime) -> int:
        """Return how many rows wait to be removed, counted up to ``limit``."""
        return self._expired(now, router.db_for_write(self.model))[:limit].count()

    def _expired(self, now: datetime, using: str) -> models.QuerySet[Any]:
        return self.model._default_manager.using(using).filter(expires_at__lte=now - self.kept_for)

    def _purge_holders(self, ids: set[Any], using: str) -> None:
        holder: Any = self.model._meta.get_field(self.holder).related_model
        if ids:
            delete_empty(holder._default_manager.using(using).filter(pk__in=ids))


def delete_empty(holders: models.QuerySet[Any]) -> int:
    """Delete those rows that no row of this app points to any more; return how many. Within a transaction."""
    held = [
        relation
        for relation in holders.model._meta.related_objects
        if relation.related_model._meta.app_label == holders.model._meta.app_label
    ]
    for relation in held:
        children = relation.related_model._default_manager.using(holders.db)
        holders = holders.exclude(models.Exists(children.filter(**{relation.field.name: models.OuterRef("pk")})))
    ids = list(unlocked(holders).values_list("pk", flat=True))
    if ids:
        # Not one DELETE: a project's own row that hangs on this one goes as its on_delete says.
        holders.model._default_manager.using(holders.db).filter(pk__in=ids).delete()
    return len(ids)


def unlocked(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Lock the rows, without those that others hold where the database can tell."""
    features = connections[rows.db].features
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)


def at_most(limit: int, using: str) -> int:
    """Return how many keys one statement may name, ``limit`` of them if the database takes as many."""
    return min(limit, connections[using].features.max_query_params or limit)
