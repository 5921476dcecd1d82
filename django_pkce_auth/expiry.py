"""Removing what expired, a bounded number of rows at a time. Housekeeping: every use checks the expiry itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import connections, models, router, transaction
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete

from .compiled import Select
from .outages import persistently
from .statement import Slot


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
        """Delete the ``limit`` rows that expired first, in one short transaction; return how many there were."""
        return next(self.batches(limit=limit, now=now), 0)

    def batches(self, *, limit: int, now: datetime, holders: bool = True) -> Iterator[int]:
        """Delete all that expired, ``limit`` rows in a short transaction; yield how many each of them removed.

        Without ``holders`` what they hang on is left to somebody else. Of two purges at once one waits for the other's
        transaction, and nobody else waits.
        """
        using = router.db_for_write(self.model)
        # Asked with many issuances, and mostly answered by no.
        if not _first(self.model).rows(using, moment=now - self.kept_for):
            return
        expired = self._expired(now, using).order_by("expires_at")
        limit = at_most(limit, using)
        after: datetime | None = None
        while True:
            # From where the last batch ended: the index still holds what it removed.
            rest = expired if after is None else expired.filter(expires_at__gte=after)
            after = next(iter(rest.values_list("expires_at", flat=True)[limit : limit + 1]), None)
            removed = self._delete(rest if after is None else rest.filter(expires_at__lt=after), limit, holders)
            if not removed and after is not None:
                # More than a batch expired at the same moment.
                removed = self._delete(
                    rest.filter(pk__in=list(rest.values_list("pk", flat=True)[:limit])), limit, holders
                )
            if removed:
                yield removed
            if after is None:
                return

    def waiting(self, *, limit: int, now: datetime) -> int:
        """Return how many rows wait to be removed, counted up to ``limit``."""
        return self._expired(now, router.db_for_write(self.model))[:limit].count()

    def _expired(self, now: datetime, using: str) -> models.QuerySet[Any]:
        return self.model._default_manager.using(using).filter(expires_at__lte=now - self.kept_for)

    def _delete(self, batch: models.QuerySet[Any], limit: int, holders: bool) -> int:
        # Before the transaction: on SQLite one that begins by reading can't wait for its turn to write.
        held = self._holders_of(batch, limit) if self.holder and holders else None

        def work() -> int:
            with transaction.atomic(using=batch.db):
                removed = delete(batch.order_by())
                if removed and held is not None:
                    delete_empty(held)
            return removed

        # Two purges at once may want each other's rows, as each walks another index.
        return persistently(work)

    def _holders_of(self, batch: models.QuerySet[Any], limit: int) -> models.QuerySet[Any]:
        """Return the rows that the batch hangs on, and some more where that is cheaper to say."""
        key = f"{self.holder}_id"
        model: Any = self.model._meta.get_field(self.holder).related_model
        found: models.QuerySet[Any] = model._default_manager.using(batch.db)
        # Plus zero, lest a planner looks for the least key in the key's own index, through all that did not expire.
        low, high = batch.aggregate(low=models.Min(models.F(key) + 0), high=models.Max(models.F(key) + 0)).values()
        # What was issued together mostly ends together; to name a span costs less than to name each.
        if low is None:
            return found.none()
        if high - low < 2 * limit:
            return found.filter(pk__gte=low, pk__lte=high)
        return found.filter(pk__in=set(batch.values_list(key, flat=True)) - {None})


@cache
def _first(model: type[models.Model]) -> Select:
    """The row that expired first, if any had by ``moment``."""
    moment = Slot(model, "expires_at", "moment")
    return Select(
        lambda: model._default_manager.filter(expires_at__lte=moment).order_by("expires_at")[:1], values=["expires_at"]
    )


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


def at_most(limit: int, using: str) -> int:
    """Return how many keys one statement may name, ``limit`` of them if the database takes as many."""
    return min(limit, connections[using].features.max_query_params or limit)
