"""One statement as it was compiled, to be run with new values; and the transaction in which several share a cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.db import DatabaseError, connections, models, transaction
from django.db.models.expressions import Expression

from .prepared import open_cursor, went_stale

Answer = TypeVar("Answer")


class Slot(Expression):
    """The place of a value that is given, by ``name``, when the statement runs."""

    def __init__(self, model: type[models.Model], column: str, name: str = "") -> None:
        super().__init__(output_field=model._meta.get_field(column))  # type: ignore[arg-type]
        self.name: Final = name or column

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Slot]]:  # type: ignore[override]
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    names: Sequence[str]
    """Of the values that are given when it runs."""
    preparations: Sequence[tuple[str, Callable[..., Any]]]
    """What turns some of them into what the driver takes."""
    literals: dict[str, Any]
    casts: Mapping[str, str] = field(default_factory=dict)
    """For some of the names, what tells PostgreSQL the type of a parameter that stands by itself."""

    @classmethod
    def of(cls, sql: str, parameters: Sequence[Any], *, connection: Any) -> Statement:
        """Name the parameters: Django's SQLite backend rewrites ``%s`` with a regular expression at each run."""
        names = [each.name if isinstance(each, Slot) else f"literal_{at}" for at, each in enumerate(parameters)]
        named = dict(zip(names, parameters, strict=True))
        slots = {name: each for name, each in named.items() if isinstance(each, Slot)}
        fields = {name: plain_field(slot.output_field) for name, slot in slots.items()}
        kinds = {name: each.db_type(connection) for name, each in fields.items()}
        left = iter(names)
        return cls(
            _PLACE.sub(lambda place: f"%({next(left)})s", sql),
            list(slots),
            [(name, _preparation(each)) for name, each in fields.items() if not _as_it_is(each, connection)],
            {name: each for name, each in named.items() if name not in slots},
            {name: f"::{kind}" for name, kind in kinds.items() if kind and not kind.startswith(_TEXTS)},
        )

    def labelled(self, label: str) -> Statement:
        """Return the same with ``label`` before each name, to be part of another one."""
        return Statement(
            _NAMED.sub(lambda place: f"%({label}{place[1]})s", self.sql),
            [f"{label}{name}" for name in self.names],
            [(f"{label}{name}", prepare) for name, prepare in self.preparations],
            {f"{label}{name}": value for name, value in self.literals.items()},
            {f"{label}{name}": cast for name, cast in self.casts.items()},
        )

    def typed(self, row: str) -> str:
        """Return parameters, as VALUES has them, for SELECT, which takes no type from the column."""
        return _NAMED.sub(lambda place: f"{place[0]}{self.casts.get(place[1], '')}", row)

    def run(self, using: str, values: Mapping[str, Any], answer: Callable[[Any, Any], Answer]) -> Answer:
        """Execute it, and return the ``answer`` that cursor and connection give."""
        connection = connections[using]
        given = {name: values[name] for name in self.names}
        if self.literals:
            given |= self.literals
        for name, prepare in self.preparations:
            # The values come from our own code and are of the column's type already, as "prepared" says.
            given[name] = prepare(given[name], connection, prepared=True)
        if (shared := getattr(connection, _SHARED, None)) is not None:
            shared.execute(self.sql, given)
            return answer(shared, connection)
        try:
            with open_cursor(connection) as cursor:
                cursor.execute(self.sql, given)
                return answer(cursor, connection)
        except DatabaseError as error:
            if not went_stale(connection, error):
                raise
        return self.run(using, values, answer)


def _preparation(field: Any) -> Callable[..., Any]:
    """Return what makes of a value what the driver takes."""
    if _is_known(field):
        prepare: Callable[..., Any] = field.get_db_prep_value
        return prepare
    # Of the column's type, but that may be one of the project's own, which no driver knows.
    return lambda value, connection, prepared: field.get_db_prep_value(value, connection)


def _as_it_is(field: Any, connection: Any) -> bool:
    """True where a value of the column's type is what the driver takes."""
    if not _is_known(field):
        return False
    prepare = type(field).get_db_prep_value
    if prepare is models.DateTimeField.get_db_prep_value:
        # PostgreSQL's drivers take a moment, others a text.
        return connection.ops.adapt_datetimefield_value(_MOMENT) is _MOMENT
    return prepare in _AS_IT_IS


def _is_known(field: Any) -> bool:
    """True for fields of Django and of this package."""
    return type(field).__module__.startswith(("django.db.models.", f"{__package__}."))


_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AS_IT_IS: Final = {models.Field.get_db_prep_value, models.fields.AutoFieldMixin.get_db_prep_value}
# What a parameter of no type is taken for, and then cut to no length.
_TEXTS: Final = ("varchar", "char", "text")
_PLACE: Final = re.compile(r"(?<!%)%s")
_NAMED: Final = re.compile(r"%\((\w+)\)s")
_SHARED: Final = "_pkce_auth_cursor"


@contextmanager
def together(using: str) -> Iterator[None]:
    """``transaction.atomic``, within which all statements of this module share a cursor: to open one costs its share.

    It is kept on the connection, which belongs to one thread; none of the statements leaves anything to be fetched.
    """
    connection = connections[using]
    with transaction.atomic(using=using):
        if are_together(connection):
            yield
            return
        with connection.cursor() as cursor:
            setattr(connection, _SHARED, cursor)
            try:
                yield
            finally:
                setattr(connection, _SHARED, None)


def are_together(connection: Any) -> bool:
    """True within ``together``."""
    return getattr(connection, _SHARED, None) is not None


def plain_field(field: Any) -> Any:
    """Return the field that holds the value in the end: what a foreign key points to, or the field itself."""
    while field.remote_field:
        field = field.target_field
    return field


def compiler_for(query: Any, using: str) -> Any:
    # For a connection that nothing opens: what is kept must hold on to no other thread's.
    return query.get_compiler(connection=connections[using].copy())
