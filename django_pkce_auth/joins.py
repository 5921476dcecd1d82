"""Joins other than those that the ORM makes: by a key of one's own, and kept apart from the planner."""

from __future__ import annotations

from typing import Any

from django.db.models.constants import LOOKUP_SEP
from django.db.models.sql.datastructures import Join


class _JoinBy(Join):
    """A row joined by the key that an expression gives."""

    def __init__(self, key: Any, join: Any) -> None:
        vars(self).update(vars(join))
        self.key = key
        self.model: Any = join.join_field.related_model

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        key, parameters = compiler.compile(self.key)
        table, column = map(connection.ops.quote_name, (self.table_name, self.model._meta.pk.column))
        return f"{self.join_type} {table} {self.table_alias} ON ({self.table_alias}.{column} = {key})", list(parameters)


def join_by(key: Any, query: Any, path: str) -> None:
    """Join the row at ``path`` by ``key`` instead; both are joined by the query already, and all of it has aliases."""
    alias = query.setup_joins(path.split(LOOKUP_SEP), query.get_meta(), next(iter(query.alias_map))).joins[-1]
    query.alias_map[alias] = _JoinBy(key, query.alias_map[alias])


class _Fenced(Join):
    """A join that PostgreSQL plans by itself: it sees a subquery that looks up the rows for the one beside it.

    In what is found here each join leads from one row to a few by an index, and in one order. To weigh other orders was
    a tenth to a third of all that the database did. ``OFFSET 0`` is what keeps the planner out.
    """

    def __init__(self, join: Any) -> None:
        vars(self).update(vars(join))
        self.join = join

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql, parameters = self.join.as_sql(compiler, connection)
        alias = self.table_alias
        table = f"{connection.ops.quote_name(self.table_name)} {alias}"
        condition = sql.removeprefix(f"{self.join_type} {table} ON ")
        rows = f"SELECT {alias}.* FROM {table} WHERE {condition} OFFSET 0"  # noqa: S608  (the ORM's)
        return f"{self.join_type} LATERAL ({rows}) {alias} ON TRUE", parameters


def fence(query: Any) -> None:
    """Have each of the query's joins planned by itself."""
    for alias, joined in query.alias_map.items():
        if isinstance(joined, Join):
            query.alias_map[alias] = _Fenced(joined)
