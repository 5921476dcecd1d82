"""Removing what expired, a bounded number of rows at a time. Housekeeping: every use checks the expiry itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models, router, transaction
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete


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

    def purge(self, *, limit: int, now: datetime, holders: bool = True) -> int:
        """Delete the ``limit`` rows that expired first, in one short transaction; return how many there were.

        None means that the table is done. Rows that another transaction holds are left for later, so
        this waits for nobody and nobody for long. Without ``holders`` what they hang on is left to somebody else.
        """
        using = router.db_for_write(self.model)
        columns = ["expires_at", f"{self.holder}_id"] if self.holder and holders else ["expires_at"]
        with transaction.atomic(using=using):
            oldest = unlocked(self._expired(now, using)).order_by("expires_at")[: at_most(limit, using)]
            rows = list(oldest.values_list(*columns))
            if not rows:
                return 0
            removed = delete(_spanned(oldest, rows[0][0], rows[-1][0]))
            if len(columns) > 1:
                self._purge_holders({row[1] for row in rows if row[1] is not None}, using)
        return removed

    def waiting(self, *, limit: int, now: datetime) -> int:
        """Return how many rows wait to be removed, counted up to ``limit``."""
        return self._expired(now, router.db_for_write(self.model))[:limit].count()

    def _expired(self, now: datetime, using: str) -> models.QuerySet[Any]:
        return self.model._default_manager.using(using).filter(expires_at__lte=now - self.kept_for)

    def _purge_holders(self, ids: set[Any], using: str) -> None:
        holder: Any = self.model._meta.get_field(self.holder).related_model
        if not ids:
            return
        # What was issued together mostly ends together; naming a span costs less than naming each.
        low, high = min(ids), max(ids)
        is_dense = high - low < 2 * len(ids)
        span = {"pk__gte": low, "pk__lte": high} if is_dense else {"pk__in": ids}
        delete_empty(holder._default_manager.using(using).filter(**span))


def _spanned(oldest: models.QuerySet[Any], first: datetime, last: datetime) -> models.QuerySet[Any]:
    """Return the rows by the span of their expiry, by whose index they were found: many times faster than by key.

    But for those that expired at the last moment, which others may have as well: they are left to the next batch.
    """
    stored: models.QuerySet[Any] = oldest.model._default_manager.using(oldest.db)
    if first == last:
        return stored.filter(pk__in=list(oldest.values_list("pk", flat=True)))
    return stored.filter(expires_at__gte=first, expires_at__lt=last)


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
    return delete(holders)


def delete(rows: models.QuerySet[Any]) -> int:
    """Delete the rows, on which nothing of this app hangs, and return how many there were.

    One statement, unless a project's own rows hang on them or its own receivers wait for them: then as Django does it.
    """
    if _is_watched(rows.model):
        return rows.delete()[1].get(rows.model._meta.label, 0)
    return int(rows._raw_delete(rows.db) or 0)


def _is_watched(model: type[models.Model]) -> bool:
    ours = model._meta.app_label
    pointing: Any = (relation.related_model for relation in get_candidate_relations_to_delete(model._meta))
    foreign = any(other._meta.app_label != ours for other in pointing)
    return foreign or pre_delete.has_listeners(model) or post_delete.has_listeners(model)


def unlocked(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Lock the rows, without those that others hold where the database can tell."""
    features = connections[rows.db].features
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)


def at_most(limit: int, using: str) -> int:
    """Return how many keys one statement may name, ``limit`` of them if the database takes as many."""
    return min(limit, connections[using].features.max_query_params or limit)
