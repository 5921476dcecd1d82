"""Re-encrypting what is stored, row by row, with the first key of the ring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models, router, transaction
from django.db.models import Value
from django.db.models.functions import Cast

from .. import encryption
from ..fields import EncryptedTextField


def encrypted_columns() -> list[tuple[type[models.Model], list[str]]]:
    """Return each of our models that has encrypted columns, with their names."""
    found = []
    for model in apps.get_app_config("pkce_auth").get_models():
        names = [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)]
        if names:
            found.append((model, names))
    return found


def count_rows() -> int:
    """Return how many rows ``rotate_all`` goes through."""
    return sum(model._default_manager.using(router.db_for_write(model)).count() for model, _ in encrypted_columns())


def rotate_all(*, batch: int) -> Iterator[tuple[int, Counter[str]]]:
    """Go through all rows in steps of ``batch``; yield how many each step read and what became of their texts.

    A text is rotated, current (the first key opens it already) or unreadable.

    It can be ended at any moment and begun again: what the first key opens already is left as it is.
    """
    for model, names in encrypted_columns():
        last: Any = None
        while rows := _rows(model, names, last, batch):
            yield len(rows), _rotate_rows(model, names, rows)
            last = rows[-1][0]


def _rows(model: type[models.Model], names: list[str], last: Any, batch: int) -> list[tuple[Any, ...]]:
    """Read stored texts as they are: a cast goes around the field, which would decrypt them."""
    rows = model._default_manager.using(router.db_for_write(model)).order_by("pk")
    stored = {f"stored_{name}": Cast(name, models.TextField()) for name in names}
    beyond = rows if last is None else rows.filter(pk__gt=last)
    return list(beyond.annotate(**stored).values_list("pk", *stored)[:batch])


def _rotate_rows(model: type[models.Model], names: list[str], rows: list[tuple[Any, ...]]) -> Counter[str]:
    done: Counter[str] = Counter()
    # One commit for a step: a database waits for its disk at each.
    with transaction.atomic(using=router.db_for_write(model)):
        for pk, *texts in rows:
            for name, stored in zip(names, texts, strict=True):
                if stored:
                    done[_rotate_one(model, pk, name, stored)] += 1
    return done


def _rotate_one(model: type[models.Model], pk: Any, name: str, stored: str) -> str:
    outcome, renewed = encryption.rotate(stored)
    if renewed:
        # Only if it is still what was read: a refresh in between wins, and has used the first key anyway.
        row = model._default_manager.using(router.db_for_write(model)).filter(pk=pk)
        unchanged = row.annotate(stored=Cast(name, models.TextField())).filter(stored=stored)
        unchanged.update(**{name: Value(renewed, output_field=models.TextField())})
    return outcome
