"""Every statement of a request finds its rows by an index, so its cost does not grow with the tables.

A planner reads a small table as a whole whatever indexes it has. So PostgreSQL is told here to do that only where
nothing else is possible; SQLite plans without regard to size. ``benchmarks/growth.py`` asserts it on many rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from django_pkce_auth.server import purge
from tests.four_steps import App, approve, bearer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "mysql", reason="its plans for a few rows say nothing about many"),
]


class Watch:
    """Has every statement that is sent to the database explained, before it runs."""

    def __init__(self) -> None:
        self.explained: list[str] = []
        self.faults: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            self.explained.append(sql)
            found = _explain_on_postgresql(sql, params) if connection.vendor == "postgresql" else _explain(sql, params)
            self.faults += [f"{fault}: {sql}" for fault in found]
        return execute(sql, params, many, context)


def _explain(sql: str, params: Any) -> list[str]:
    with closing(connection.create_cursor()) as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        # A subquery's rows are counted one by one, whatever found them.
        return [detail for *_, detail in cursor.fetchall() if detail.startswith("SCAN") and "subquery" not in detail]


def _explain_on_postgresql(sql: str, params: Any) -> list[str]:
    with closing(connection.create_cursor()) as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (plan,) = cursor.fetchone()
    return list(_without_index(json.loads(plan)[0]["Plan"] if isinstance(plan, str) else plan[0]["Plan"]))


def _without_index(node: dict[str, Any]) -> Iterator[str]:
    kind = node["Node Type"]
    # A scan of an index that looks nothing up in it reads as much as one of the table.
    if kind == "Seq Scan" or ("Index" in kind and "Index Cond" not in node):
        yield f"{kind} of {node.get('Relation Name') or node.get('Index Name')}"
    for child in node.get("Plans", ()):
        yield from _without_index(child)


@pytest.fixture
def watch() -> Iterator[Watch]:
    watching = Watch()
    with connection.execute_wrapper(watching):
        yield watching
    assert watching.explained
    assert watching.faults == []


def test_code_exchange_uses_indexes(app: App, code: str, watch: Watch) -> None:
    assert app.redeem(code).status_code == 200


def test_replay_uses_indexes(app: App, code: str, tokens: dict[str, Any], watch: Watch) -> None:
    assert app.redeem(code).status_code == 400


def test_refresh_and_reuse_use_indexes(app: App, tokens: dict[str, Any], watch: Watch) -> None:
    following = app.refresh(tokens["refresh_token"]).json()
    app.refresh(following["refresh_token"])
    assert app.refresh(tokens["refresh_token"]).status_code == 400


def test_refresh_after_a_retry_uses_indexes(app: App, tokens: dict[str, Any], watch: Watch) -> None:
    app.refresh(tokens["refresh_token"])
    sibling = app.refresh(tokens["refresh_token"]).json()
    assert app.refresh(sibling["refresh_token"]).status_code == 200


def test_bearer_check_uses_indexes(tokens: dict[str, Any], watch: Watch) -> None:
    assert Browser().get("/api/read", headers=bearer(tokens["access_token"])).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_introspection_and_revocation_use_indexes(app: App, tokens: dict[str, Any], watch: Watch, kind: str) -> None:
    assert app.post("/oauth/introspect", token=tokens[kind]).json()["active"]
    assert app.post("/oauth/revoke", token=tokens[kind]).status_code == 200


def test_prompt_approval_and_apps_page_use_indexes(app: App, signed_in: Browser, watch: Watch) -> None:
    assert signed_in.get(app.link()).status_code == 200
    approve(signed_in, app.link())
    assert signed_in.get("/oauth/apps").status_code == 200
    assert signed_in.post("/oauth/apps", {"client_id": app.client.client_id}).status_code == 302


def test_purge_along_the_way_uses_indexes(app: App, code: str, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "ONE_IN", 1)
    assert app.redeem(code).status_code == 200
