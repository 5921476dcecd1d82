"""Statements that are compiled once from the ORM's own querysets, and run again and again with new values.

Most of what the ORM costs is compiling the same statement anew for each request. What is kept here was compiled by the
ORM, from the models and for the database at hand, so it says what the ORM would say; only the values come later.
Model signals are not sent, as with ``bulk_create`` and ``update``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db import connections, models
from django.db.models.constants import LOOKUP_SEP, OnConflict
from django.db.models.sql import InsertQuery, UpdateQuery

from .instances import Born, born
from .joins import fence, join_by
from .statement import Slot, Statement, compiler_for

Conversion = tuple[int, Sequence[Callable[..., Any]], Any]
"""A position, what turns the database's value there into Python's, and the expression that it is the value of."""


class Update:
    """``queryset().update(**assigned)``, where slots stand in both."""

    def __init__(self, queryset: Callable[[], models.QuerySet[Any]], **assigned: Any) -> None:
        self._queryset = queryset
        self._assigned = assigned
        self._compiled: dict[str, Statement] = {}

    def run(self, using: str, **values: Any) -> int:
        """Return how many rows matched. One statement."""
        return self.compiled(using, values).run(using, values, _count)

    def shape(self, values: Mapping[str, Any]) -> Any:
        """Tell apart what is compiled for these values."""
        return None

    def compiled(self, using: str, values: Mapping[str, Any]) -> Statement:
        return self._compiled.get(using) or self._compile(using)

    def search(self, using: str) -> Statement:
        """Compile what finds the rows."""
        query = self._queryset().order_by().values("pk").query
        return Statement.of(*compiler_for(query, using).as_sql(), connection=connections[using])

    def _compile(self, using: str) -> Statement:
        query: Any = self._queryset().query.chain(UpdateQuery)
        query.add_update_values(self._assigned)
        self._compiled[using] = Statement.of(*compiler_for(query, using).as_sql(), connection=connections[using])
        return self._compiled[using]


def _count(cursor: Any, connection: Any) -> int:
    return int(cursor.rowcount)


class Insert:
    """``bulk_create`` of one row; a column that is not given has its constant default, or is NULL.

    With ``unless_there`` nothing is inserted where a unique constraint says that there is such a row, as with
    ``ignore_conflicts``; it draws no key then.
    """

    def __init__(self, model: type[models.Model], *, unless_there: bool = False) -> None:
        self._model = model
        self.unless_there: Final = unless_there
        self._compiled: dict[tuple[str, tuple[str, ...]], _Insertion] = {}

    def run(self, using: str, **values: Any) -> Any:
        """Return the key where the database draws one, or how many rows it inserted ``unless_there``. One statement.

        ``values`` are named by attribute.
        """
        statement, answer = self._insertion(using, values)
        return statement.run(using, values, answer)

    def shape(self, values: Mapping[str, Any]) -> Any:
        """Tell apart what is compiled for these values: the columns that are given."""
        return tuple([name for name, value in values.items() if value is not None])

    def compiled(self, using: str, values: Mapping[str, Any]) -> Statement:
        return self._insertion(using, values).statement

    def draws_key(self, using: str, values: Mapping[str, Any]) -> bool:
        return self._insertion(using, values).answer not in (_nothing, _count)

    def _insertion(self, using: str, values: Mapping[str, Any]) -> _Insertion:
        names = self.shape(values)
        return self._compiled.get((using, names)) or self._compile(using, names)

    def _compile(self, using: str, names: tuple[str, ...]) -> _Insertion:
        model, features = self._model, connections[using].features
        key: Any = model._meta.pk
        given: list[Any] = [model._meta.get_field(name) for name in names]
        left_out = {field: _constant(field) for field in model._meta.concrete_fields if field not in given}
        constants = [field for field, default in left_out.items() if default is not None]
        query: Any = InsertQuery(model, on_conflict=OnConflict.IGNORE if self.unless_there else None)
        row = {field.attname: Slot(model, field.name, field.attname) for field in given}
        row |= {field.attname: left_out[field] for field in constants}
        query.insert_values([*given, *constants], [SimpleNamespace(**row)], raw=True)
        compiler = compiler_for(query, using)
        answer: Callable[..., Any] = _count if self.unless_there else _nothing
        if key in left_out and not self.unless_there:
            compiler.returning_fields = [key]
            answer = _returned if features.can_return_columns_from_insert else self._last
        ((sql, parameters),) = compiler.as_sql()
        self._compiled[using, names] = _Insertion(Statement.of(sql, parameters, connection=connections[using]), answer)
        return self._compiled[using, names]

    def _last(self, cursor: Any, connection: Any) -> Any:
        meta: Any = self._model._meta
        return connection.ops.last_insert_id(cursor, meta.db_table, meta.pk.column)


class _Insertion(NamedTuple):
    statement: Statement
    answer: Callable[[Any, Any], Any]


def _constant(field: Any) -> Any:
    """Return the default that a column has where it is left out."""
    if field.has_default() and callable(field.default):
        raise TypeError(f"{field} has no constant default: give it a value.")
    return field.get_default()


def _nothing(cursor: Any, connection: Any) -> None:
    return None


def _returned(cursor: Any, connection: Any) -> Any:
    return cursor.fetchone()[0]


class Select:
    """What ``queryset()`` finds: the columns named in ``values``, and the rows of ``instances`` joined to them.

    Both are named as in ``QuerySet.values_list`` and ``select_related``; an empty name is the queryset's own model.
    ``keys`` names, for an instance, an annotation that is the key of the row to be joined, instead of what the
    relation holds. Columns that the queryset defers are read when they are asked for. ``scalars`` names, for an
    instance, an annotation that is its one column beside the key, where the queryset has it: so nothing is joined.
    """

    def __init__(
        self,
        queryset: Callable[[], models.QuerySet[Any]],
        *,
        values: Sequence[str] = (),
        instances: Sequence[str] = (),
        keys: Mapping[str, str] | None = None,
        scalars: Mapping[str, str] | None = None,
    ) -> None:
        self._queryset = queryset
        self._values = values
        self._instances = instances
        self._keys = keys or {}
        self._scalars = scalars or {}
        self._compiled: dict[str, Found] = {}

    def rows(self, using: str, **values: Any) -> list[Row]:
        """Return what is found. One statement."""
        found = self.compiled(using)
        return found.statement.run(using, values, found.rows)

    def compiled(self, using: str) -> Found:
        return self._compiled.get(using) or self._compile(using)

    def _compile(self, using: str) -> Found:
        queryset = self._queryset()
        joined = {path: _model_at(queryset.model, path) for path in self._instances}
        deferred, _ = queryset.query.deferred_loading
        fields: dict[str, list[Any]] = {
            path: [field for field in model._meta.concrete_fields if _below(path, field.name) not in deferred]
            for path, model in joined.items()
        }
        annotated = queryset.query.annotations
        columns = {
            path: [self._column(path, field, joined[path], annotated) for field in listed]
            for path, listed in fields.items()
        }
        names = list(dict.fromkeys([*self._values, *(name for listed in columns.values() for name in listed)]))
        query = _selecting(queryset.query.clone(), names)
        for path, annotation in self._keys.items():
            join_by(query.annotations[annotation], query, path)
        if connections[using].vendor == "postgresql":
            fence(query)
        compiler = compiler_for(query, using)
        statement = Statement.of(*compiler.as_sql(), connection=connections[using])
        conversions = compiler.get_converters(selected for selected, *_ in compiler.select)
        at = {name: position for position, name in enumerate(names)}

        def picked(wanted: Sequence[str]) -> _Picked:
            positions = [at[name] for name in wanted]
            converted = [(place, *conversions[each]) for place, each in enumerate(positions) if each in conversions]
            return _Picked(positions, converted)

        linked = fields.keys() - self._keys.keys()
        parts = {
            path: _part(path, model, fields[path], linked, picked(columns[path])) for path, model in joined.items()
        }
        self._compiled[using] = Found(statement, len(names), picked(self._values), parts)
        return self._compiled[using]

    def _column(self, path: str, field: Any, model: Any, annotated: Collection[str]) -> str:
        if path and field in _key_fields(model):
            # A joined row's key is what points to it: the same column, so it is read once.
            return self._keys.get(path) or f"{path}_id"
        scalar = self._scalars.get(path, "")
        return scalar if scalar in annotated else _below(path, field.attname)


class _Picked:
    """Some columns of a row, in an order of their own."""

    def __init__(self, positions: Sequence[int], conversions: Sequence[Conversion]) -> None:
        # itemgetter returns a lone value bare, and takes no empty list.
        self._pick = itemgetter(*positions, *positions[:1]) if positions else lambda raw: ()
        self._count = len(positions)
        self._conversions = conversions

    def of(self, raw: Sequence[Any], connection: Any) -> list[Any]:
        values = list(self._pick(raw)[: self._count])
        for place, converters, expression in self._conversions:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        return values


@dataclass(frozen=True, slots=True)
class _Part:
    """A model's columns within the row, and what else of the row hangs on it: attribute → path."""

    born: Born
    columns: _Picked
    key: int
    names: Sequence[str]
    links: Sequence[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a ``Select`` finds on one database: the statement, and how its rows are read."""

    statement: Statement
    width: int
    """The number of columns."""
    values: _Picked
    parts: Mapping[str, _Part]

    def rows(self, cursor: Any, connection: Any) -> list[Row]:
        return [Row(raw, self, connection) for raw in cursor.fetchall()]


class Row:
    """One row that was found. Instances are made when they are asked for; many requests never need them."""

    __slots__ = ("_connection", "_found", "_raw")

    def __init__(self, raw: Sequence[Any], found: Found, connection: Any) -> None:
        self._raw = raw
        self._found = found
        self._connection = connection

    @property
    def values(self) -> list[Any]:
        """The columns, in the order in which ``Select`` names them."""
        return self._found.values.of(self._raw, self._connection)

    def instance(self, path: str) -> Any:
        """Return the model's instance at ``path``, with those below it, or None where nothing was joined."""
        part = self._found.parts[path]
        values = part.columns.of(self._raw, self._connection)
        if values[part.key] is None:
            return None
        made = part.born(self._connection.alias, part.names, values)
        for relation, below in part.links:
            relation.set_cached_value(made, self.instance(below))
        return made


def columns_but(path: str, model: type[models.Model], kept: Collection[str]) -> list[str]:
    """Name the columns of the rows at ``path`` other than those ``kept``, and the key: for ``QuerySet.defer``."""
    keys = _key_fields(model)
    fields = (field for field in model._meta.concrete_fields if field not in keys and field.name not in kept)
    return [_below(path, field.name) for field in fields]


def _key_fields(model: type[models.Model]) -> list[Any]:
    """Return the model's key and what it points to: a parent of the model may have the same key, or one of its own."""
    keys: list[Any] = [model._meta.pk]
    while keys[-1].remote_field:
        keys.append(keys[-1].target_field)
    return keys


def _selecting(query: Any, names: list[str]) -> Any:
    """Select these columns and annotations, the latter behind the others, as ``names`` is put in order to say."""
    names.sort(key=query.annotations.__contains__)
    query.clear_select_clause()
    query.add_fields([name for name in names if name not in query.annotations])
    query.set_annotation_mask({name for name in names if name in query.annotations})
    # Short names for tables, and none for columns: it is a third as long, and each run sends and reads all of it.
    # Where it has an order, that is by a single table's own columns, under its own name.
    if len(query.alias_map) > 1:
        prefix = _prefix()
        query.change_aliases({alias: f"{prefix}{place}" for place, alias in enumerate(query.alias_map)})
    return query


def _prefix() -> str:
    """Return what no table is named with a number behind, in whatever case; a subquery has tables of its own."""
    tables = [model._meta.db_table.lower() for model in apps.get_models(include_auto_created=True)]
    prefix = "t"
    while any(re.match(rf"{prefix}\d", table) for table in tables):
        prefix += "_"
    return prefix


def _model_at(model: type[models.Model], path: str) -> Any:
    for name in filter(None, path.split(LOOKUP_SEP)):
        model = model._meta.get_field(name).related_model  # type: ignore[assignment]
    return model


def _below(path: str, name: str) -> str:
    return f"{path}{LOOKUP_SEP}{name}" if path else name


def _part(path: str, model: type[models.Model], own: Sequence[Any], linked: Collection[str], columns: _Picked) -> _Part:
    links = [(field, below) for field in own if (below := _below(path, field.name)) in linked]
    return _Part(born(model), columns, own.index(model._meta.pk), [field.attname for field in own], links)
