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


def read(using: str, first: Lookup, second: Lookup) -> tuple[list[Row], Callable[[], list[Row]]]:
    """Return what the first finds, and what returns what the second finds, which is one row at most."""
    (one, its_values), (other, other_values) = first, second
    if connections[using].vendor == "postgresql":
        both = _compiled.get((using, one, other)) or _join(using, one, other)
        rows, others = both.run(using, its_values, other_values)
    else:
        rows, others = one.rows(using, **its_values), None
    return rows, lambda: other.rows(using, **other_values) if others is None else others


@dataclass(frozen=True, slots=True)
class _Both:
    statement: Statement
    one: Found
    other: Found

    def run(self, using: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[list[Row], list[Row] | None]:
        """Return what each finds; None for the other where the one finds nothing that it could stand beside."""
        values = {f"a_{name}": value for name, value in one.items()}
        values |= {f"b_{name}": value for name, value in other.items()}
        return self.statement.run(using, values, self._rows)

    def _rows(self, cursor: Any, connection: Any) -> tuple[list[Row], list[Row] | None]:
        found, width = cursor.fetchall(), self.one.width
        if not found:
            return [], None
        # Nothing but NULL where there is none.
        beside = found[0][width:]
        others = [Row(beside, self.other, connection)] if any(each is not None for each in beside) else []
        return [Row(raw[:width], self.one, connection) for raw in found], others


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
