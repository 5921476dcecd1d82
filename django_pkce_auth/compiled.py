"""Statements that are compiled once from the ORM's own querysets, and run again and again with new values.

Most of what the ORM costs is compiling the same statement anew for each request. What is kept here was compiled by the
ORM, from the models and for the database at hand, so it says what the ORM would say; only the values come later.
Model signals are not sent, as with ``bulk_create`` and ``update``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final

from django.db import connections, models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Expression
from django.db.models.sql import InsertQuery, UpdateQuery

Conversion = tuple[int, Sequence[Callable[..., Any]], Any]
"""A position, what turns the database's value there into Python's, and the expression that it is the value of."""


class Slot(Expression):
    """The place of a value that is given, by ``name``, when the statement runs."""

    def __init__(self, model: type[models.Model], column: str, name: str = "") -> None:
        super().__init__(output_field=model._meta.get_field(column))  # type: ignore[arg-type]
        self.name: Final = name or column

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Slot]]:  # type: ignore[override]
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    slots: Sequence[Slot]
    literals: Mapping[str, Any]

    @classmethod
    def of(cls, sql: str, parameters: Sequence[Any]) -> _Statement:
        """Name the parameters: Django's SQLite backend rewrites ``%s`` with a regular expression at each run."""
        names = [each.name if isinstance(each, Slot) else f"literal_{at}" for at, each in enumerate(parameters)]
        named = dict(zip(names, parameters, strict=True))
        left = iter(names)
        return cls(
            _PLACE.sub(lambda place: f"%({next(left)})s", sql),
            [each for each in named.values() if isinstance(each, Slot)],
            {name: each for name, each in named.items() if not isinstance(each, Slot)},
        )

    def execute(self, cursor: Any, connection: Any, values: Mapping[str, Any]) -> None:
        given = dict(self.literals)
        for slot in self.slots:
            # The values come from our own code and are of the column's type already, as "prepared" says.
            given[slot.name] = slot.output_field.get_db_prep_value(values[slot.name], connection, prepared=True)
        cursor.execute(self.sql, given)


_PLACE: Final = re.compile(r"(?<!%)%s")


class Update:
    """``queryset().update(**assigned)``, where slots stand in both."""

    def __init__(self, queryset: Callable[[], models.QuerySet[Any]], **assigned: Any) -> None:
        self._queryset = queryset
        self._assigned = assigned
        self._compiled: dict[str, _Statement] = {}

    def run(self, using: str, **values: Any) -> int:
        """Return how many rows matched. One statement."""
        statement = self._compiled.get(using) or self._compile(using)
        connection = connections[using]
        with connection.cursor() as cursor:
            statement.execute(cursor, connection, values)
            return int(cursor.rowcount)

    def _compile(self, using: str) -> _Statement:
        query: Any = self._queryset().query.chain(UpdateQuery)
        query.add_update_values(self._assigned)
        self._compiled[using] = _Statement.of(*_compiler(query, using).as_sql())
        return self._compiled[using]


def insert(instance: models.Model, *, using: str) -> None:
    """``instance.save(force_insert=True)``; a key that the database draws is set on it. One statement."""
    statement, names, key = _insertion(type(instance), instance.pk is None, using)
    connection = connections[using]
    with connection.cursor() as cursor:
        statement.execute(cursor, connection, {name: getattr(instance, name) for name in names})
        if key is not None:
            instance.pk = (
                cursor.fetchone()[0]
                if connection.features.can_return_columns_from_insert
                else connection.ops.last_insert_id(cursor, instance._meta.db_table, key.column)
            )
    instance._state.adding = False
    instance._state.db = using


@cache
def _insertion(model: type[models.Model], draws_key: bool, using: str) -> tuple[_Statement, Sequence[str], Any]:
    key = model._meta.pk if draws_key else None
    fields = [field for field in model._meta.concrete_fields if field is not key]
    query: Any = InsertQuery(model)
    slots = {field.attname: Slot(model, field.name, field.attname) for field in fields}
    query.insert_values(fields, [SimpleNamespace(**slots)], raw=True)
    compiler = _compiler(query, using)
    if key is not None:
        compiler.returning_fields = [key]
    ((sql, parameters),) = compiler.as_sql()
    return _Statement.of(sql, parameters), list(slots), key


class Select:
    """What ``queryset()`` finds: the columns named in ``values``, and the rows of ``instances`` joined to them.

    Both are named as in ``QuerySet.values_list`` and ``select_related``; an empty name is the queryset's own model.
    """

    def __init__(
        self,
        queryset: Callable[[], models.QuerySet[Any]],
        *,
        values: Sequence[str] = (),
        instances: Sequence[str] = (),
    ) -> None:
        self._queryset = queryset
        self._values = values
        self._instances = instances
        self._compiled: dict[str, _Found] = {}

    def rows(self, using: str, **values: Any) -> list[Row]:
        """Return what is found. One statement."""
        found = self._compiled.get(using) or self._compile(using)
        connection = connections[using]
        with connection.cursor() as cursor:
            found.statement.execute(cursor, connection, values)
            return [Row(raw, found, connection) for raw in cursor.fetchall()]

    def _compile(self, using: str) -> _Found:
        queryset = self._queryset()
        joined = {path: _model_at(queryset.model, path) for path in self._instances}
        fields: dict[str, list[Any]] = {path: model._meta.concrete_fields for path, model in joined.items()}
        columns = {path: [_column(path, field) for field in listed] for path, listed in fields.items()}
        names = list(dict.fromkeys([*self._values, *(name for listed in columns.values() for name in listed)]))
        query = _selecting(queryset.query.clone(), names)
        compiler = _compiler(query, using)
        statement = _Statement.of(*compiler.as_sql())
        conversions = compiler.get_converters(selected for selected, *_ in compiler.select)
        at = {name: position for position, name in enumerate(names)}

        def picked(wanted: Sequence[str]) -> _Picked:
            positions = [at[name] for name in wanted]
            converted = [(place, *conversions[each]) for place, each in enumerate(positions) if each in conversions]
            return _Picked(positions, converted)

        parts = {path: _part(path, model, fields, picked(columns[path])) for path, model in joined.items()}
        self._compiled[using] = _Found(statement, picked(self._values), parts)
        return self._compiled[using]


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

    model: type[models.Model]
    columns: _Picked
    key: int
    names: Sequence[str]
    links: Sequence[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class _Found:
    statement: _Statement
    values: _Picked
    parts: Mapping[str, _Part]


class Row:
    """One row that was found. Instances are made when they are asked for; many requests never need them."""

    __slots__ = ("_connection", "_found", "_raw")

    def __init__(self, raw: Sequence[Any], found: _Found, connection: Any) -> None:
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
        made = part.model.from_db(self._connection.alias, part.names, values)
        for relation, below in part.links:
            relation.set_cached_value(made, self.instance(below))
        return made


def _compiler(query: Any, using: str) -> Any:
    # For a connection that nothing opens: what is kept must hold on to no other thread's.
    return query.get_compiler(connection=connections[using].copy())


def _selecting(query: Any, names: list[str]) -> Any:
    """Select these columns and annotations, the latter behind the others, as ``names`` is put in order to say."""
    names.sort(key=query.annotations.__contains__)
    query.clear_select_clause()
    query.add_fields([name for name in names if name not in query.annotations])
    query.set_annotation_mask({name for name in names if name in query.annotations})
    # Short names for tables, and none for columns: it is a third as long, and each run sends and reads all of it.
    # Where it has an order, that is by a single table's own columns, under its own name.
    if len(query.alias_map) > 1:
        query.change_aliases({alias: f"t{place}" for place, alias in enumerate(query.alias_map)})
    return query


def _model_at(model: type[models.Model], path: str) -> Any:
    for name in filter(None, path.split(LOOKUP_SEP)):
        model = model._meta.get_field(name).related_model  # type: ignore[assignment]
    return model


def _below(path: str, name: str) -> str:
    return f"{path}{LOOKUP_SEP}{name}" if path else name


def _column(path: str, field: Any) -> str:
    # A joined row's key is what points to it: the same column, so it is read once.
    return f"{path}_id" if path and field is field.model._meta.pk else _below(path, field.attname)


def _part(path: str, model: type[models.Model], fields: Mapping[str, Sequence[Any]], columns: _Picked) -> _Part:
    own = fields[path]
    links = [(field, below) for field in own if (below := _below(path, field.name)) in fields]
    return _Part(model, columns, own.index(model._meta.pk), [field.attname for field in own], links)
