"""Model instances of rows that were read, made as unpickling makes them where the model has nothing to say to that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import getattr_static
from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

Born = Callable[[str, Sequence[str], Sequence[Any]], models.Model]


def stored_instance(model: type[models.Model], using: str, columns: Any) -> models.Model:
    """Return an instance that is stored already, made as unpickling makes it: ``Model.__init__`` is slow."""
    made = model.__new__(model)
    state = models.base.ModelState()
    state.adding, state.db = False, using
    made.__dict__.update(columns, _state=state)
    return made


def born(model: type[models.Model]) -> Born:
    """Return what makes an instance of the model from the database's alias, the columns' names and their values."""
    if model._meta.app_label == "pkce_auth":
        return partial(_read, model)
    return partial(_read_unheard, model) if is_plain(model) else model.from_db


def is_plain(model: type[models.Model]) -> bool:
    """True where reading a row of a project's model only puts its columns into the instance, and tells who listens."""
    base = models.Model
    methods = ("__init__", "__new__", "__setattr__")
    if model.from_db.__func__ is not base.from_db.__func__:  # type: ignore[attr-defined]
        return False
    if any(getattr(model, name) is not getattr(base, name) for name in methods):
        return False
    columns = (type(getattr_static(model, field.attname)) for field in model._meta.concrete_fields)
    return all(each in (DeferredAttribute, ForeignKeyDeferredAttribute) for each in columns)


def _read_unheard(model: type[models.Model], using: str, names: Sequence[str], values: Sequence[Any]) -> models.Model:
    # Somebody may have begun to listen since the statement was compiled.
    if pre_init.receivers or post_init.receivers:
        return model.from_db(using, names, values)
    return _read(model, using, names, values)


def _read(model: type[models.Model], using: str, names: Sequence[str], values: Sequence[Any]) -> models.Model:
    return stored_instance(model, using, zip(names, values, strict=True))
