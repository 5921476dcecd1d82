"""What is written all together or not at all: by one statement where the database takes it, else in a transaction.

PostgreSQL takes INSERTs and UPDATEs as parts of one statement (``WITH``). It needs no transaction around it then, and
that is two round trips in place of seven: most of what small statements cost is the way, and its handling at both ends.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connections, transaction

from .compiled import Insert, Update
from .statement import Statement, are_together, together

Step = tuple[Insert | Update, Mapping[str, Any]]
"""What is to be run, and its values: those of ``run``."""

KEY: Final = object()
"""As a value: the key that the database draws for the first step that inserts a row with such a key."""


def write(using: str, *steps: Step) -> tuple[bool, Any]:
    """Run the steps, and return True and that key; False, with nothing done, where one of them must write and can't.

    That is an UPDATE that finds no row, and an INSERT ``unless_there`` of a row that is there.

    Within ``together`` it is that block which is rolled back then, where the database takes one statement each. No step
    may look at a row that another one writes, as parts of one statement all see the tables as they were before it.
    """
    if len(steps) == 1:
        return _in_turn(using, steps)
    connection = connections[using]
    if connection.vendor == "postgresql":
        shape = (using, *[(statement, statement.shape(values)) for statement, values in steps])
        joined = _compiled[shape] if shape in _compiled else _join(shape, using, steps)
        if joined is not None:
            return joined.run(using, steps)
    with nullcontext() if are_together(connection) else together(using):
        written, key = _in_turn(using, steps)
        if not written:
            transaction.set_rollback(True, using=using)
    return written, key


def _in_turn(using: str, steps: Sequence[Step]) -> tuple[bool, Any]:
    key = None
    for statement, values in steps:
        if key is not None:
            values = {name: key if value is KEY else value for name, value in values.items()}
        answer = statement.run(using, **values)
        if isinstance(statement, Insert) and not statement.unless_there:
            key = answer if key is None else key
        elif not answer:
            return False, None
    return True, key


@dataclass(frozen=True, slots=True)
class _Joined:
    statement: Statement
    places: Mapping[str, tuple[int, str]]
    """Of each value, by its name in the whole: the step that has it, and its name there."""

    def run(self, using: str, steps: Sequence[Step]) -> tuple[bool, Any]:
        given = {name: steps[step][1][own] for name, (step, own) in self.places.items()}
        row = self.statement.run(using, given, _row)
        return (False, None) if row is None else (True, row[0])


def _row(cursor: Any, connection: Any) -> Any:
    return cursor.fetchone()


_compiled: dict[tuple[Any, ...], _Joined | None] = {}


def _join(shape: tuple[Any, ...], using: str, steps: Sequence[Step]) -> _Joined | None:
    """Make one statement of the compiled ones; ``shape`` says all that it depends on. None where that can't be.

    An UPDATE that finds no row must leave the others undone, so these ask for its row first: as it was updated or, if
    it waits for the key itself, as it was found and is held. An INSERT ``unless_there`` can't be asked about without
    being done, so it goes with no other of its kind.
    """
    parts = [_Part.of(step, using, *each) for step, each in enumerate(steps)]
    musts = [part for part in parts if part.must_write]
    drawing = [part for part in parts if part.draws_key]
    others = [part for part in parts if part not in (*musts, *drawing)]
    holds = len(musts) > 1 or any(part.waits for part in musts)
    if len(drawing) > 1 or (holds and not all(part.is_update for part in musts)):
        _compiled[shape] = None
        return None
    first = [part.held(steps, using) for part in musts] if holds else musts
    then = [*drawing, *(musts if holds else ()), *others]
    if first and not all(part.is_update or part.is_row for part in then):
        _compiled[shape] = None
        return None
    # No part may name one behind it. The last is what the others lead to: if it is done it answers with the key.
    key = f"(SELECT k FROM {drawing[0].label})" if drawing else "NULL"  # noqa: S608  (our own label)
    found = " AND ".join(f"EXISTS (SELECT 1 FROM {part.label})" for part in first)  # noqa: S608
    *inner, last = then
    clauses = [part.clause(key) for part in first] + [part.clause(key, found) for part in inner]
    answer = "" if last.draws_key else f" RETURNING {key}"
    every = [*first, *then]
    places = {name: (part.step, own) for part in every for name, own in part.given.items()}
    statement = Statement(
        f"WITH {', '.join(clauses)} {last.sql(key, found)}{answer}",
        list(places),
        [(name, prepare) for part in every for name, prepare in part.own.preparations if name in places],
        {name: value for part in every for name, value in part.own.literals.items()},
    )
    _compiled[shape] = _Joined(statement, places)
    return _compiled[shape]


@dataclass(frozen=True, slots=True)
class _Part:
    """A step as part of a whole."""

    label: str
    step: int
    own: Statement
    is_update: bool
    must_write: bool
    draws_key: bool
    waits: Collection[str]
    """The names under which it waits for the key."""
    tail: str
    """What makes it answer, as a clause."""

    @classmethod
    def of(cls, step: int, using: str, statement: Insert | Update, values: Mapping[str, Any]) -> _Part:
        own, label = statement.compiled(using, values), f"s{step}"
        waits = [f"{label}_{name}" for name in own.names if values[name] is KEY]
        is_update = isinstance(statement, Update)
        must_write = not isinstance(statement, Insert) or statement.unless_there
        draws_key = isinstance(statement, Insert) and statement.draws_key(using, values)
        tail = " RETURNING 1" * must_write
        return cls(label, step, own.labelled(f"{label}_"), is_update, must_write, draws_key, waits, tail)

    def held(self, steps: Sequence[Step], using: str) -> _Part:
        """Return what finds the row that an UPDATE is for, and holds it."""
        statement: Any = steps[self.step][0]
        label = f"h{self.step}"
        return replace(self, label=label, own=statement.search(using).labelled(f"{label}_"), tail=" FOR UPDATE")

    @property
    def given(self) -> dict[str, str]:
        """The names of values, and what ``run`` calls them."""
        return {name: name.removeprefix(f"{self.label}_") for name in self.own.names if name not in self.waits}

    @property
    def is_row(self) -> bool:
        return len(_ROW.findall(self.own.sql)) == 1

    def clause(self, key: str, condition: str = "") -> str:
        return f"{self.label}{' (k)' if self.draws_key else ''} AS ({self.sql(key, condition)}{self.tail})"

    def sql(self, key: str, condition: str = "") -> str:
        sql = self.own.sql
        if condition and self.is_update:
            sql = f"{sql} AND {condition}"
        elif condition:
            sql = _ROW.sub(lambda row: f"SELECT {self.own.typed(row[1])} WHERE {condition}", sql)
        for name in self.waits:
            sql = sql.replace(f"%({name})s", key)
        return sql


_ROW: Final = re.compile(r"VALUES \((%\(\w+\)s(?:, %\(\w+\)s)*)\)")
"""The row of an INSERT, where each column has a value of its own and nothing around it."""
