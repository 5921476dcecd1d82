"""Two lookups as one statement where the database answers that sooner, and one after the other elsewhere.

On PostgreSQL it saves a round trip. Each of the two is planned by itself: one plan for all their tables costs more than
the round trip does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections

from .compiled import Found, Row, Select
from .statement import Statement

Lookup = tuple[Select, Mapping[str, Any]]
"""What is to be found, and its values: those of ``rows``."""

_Answer = tuple[list[Row], Callable[[], list[Row]]]


def read(using: str, first: Lookup, second: Lookup) -> _Answer:
    """Return what the first finds, and what returns what the second finds, which is one row at most.

    That is empty where the first finds nothing.
    """
    (one, its_values), (other, other_values) = first, second
    if connections[using].vendor != "postgresql":
        rows = one.rows(using, **its_values)
        return rows, lambda: other.rows(using, **other_values) if rows else []
    both = _compiled.get((using, one, other)) or _join(using, one, other)
    return both.run(using, its_values, other_values)


@dataclass(frozen=True, slots=True)
class _Both:
    statement: Statement
    one: Found
    other: Found

    def run(self, using: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> _Answer:
        values = {f"a_{name}": value for name, value in one.items()}
        values |= {f"b_{name}": value for name, value in other.items()}
        return self.statement.run(using, values, self._rows)

    def _rows(self, cursor: Any, connection: Any) -> _Answer:
        found, width = cursor.fetchall(), self.one.width
        # Beside each row of the first; nothing but NULL where there is none.
        rest = [raw[width:] for raw in found[:1] if any(each is not None for each in raw[width:])]
        rows = [Row(raw[:width], self.one, connection) for raw in found]
        return rows, lambda: [Row(raw, self.other, connection) for raw in rest]


_compiled: dict[tuple[str, Select, Select], _Both] = {}


def _join(using: str, one: Select, other: Select) -> _Both:
    first, second = one.compiled(using), other.compiled(using)
    a, b = first.statement.labelled("a_"), second.statement.labelled("b_")
    whole = Statement(
        f"WITH a AS MATERIALIZED ({a.sql}), b AS MATERIALIZED ({b.sql}) SELECT * FROM a LEFT JOIN b ON TRUE",  # noqa: S608  (the ORM's)
        [*a.names, *b.names],
        [*a.preparations, *b.preparations],
        a.literals | b.literals,
    )
    _compiled[using, one, other] = _Both(whole, first, second)
    return _compiled[using, one, other]
