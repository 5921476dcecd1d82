"""The database's own limits of time, while another connection holds what is asked for: 503, and then it is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from django_pkce_auth.server.models import AccessToken, RefreshToken, TokenFamily
from tests.databases import is_mysql
from tests.served.faults.endpoints import ENDPOINTS, Scene
from tests.served.faults.test_database_away import is_friendly
from tests.served.wire import Wire
from tests.served.workers import environment, serving

pytestmark = pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has no such limits")

LIMITS: dict[str, dict[str, dict[str, str]]] = {
    "postgresql": {
        "a lock": {"options": "-c lock_timeout=100"},
        "a statement": {"options": "-c statement_timeout=200"},
        "a transaction": {"options": "-c transaction_timeout=200"},
    },
    "mysql": {
        "a lock": {"init_command": "SET innodb_lock_wait_timeout = 1"},
        "a statement": {"init_command": "SET max_statement_time = 0.2"},
    },
}
NEEDED = {
    "postgresql": {*ENDPOINTS} - {"key set"},
    "mysql": {"exchange", "refresh", "revocation", "approval", "withdrawal", "device page"},
}
"""What can't be answered without that which is held: on MariaDB that are rows, which can still be read."""
MOST_AGAIN = 2
"""Where a machine stands still for as long as a limit, that ends what nobody holds up as well."""


@contextmanager
def everything_held() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        for model in apps.get_models():
            if model._meta.label_lower == "sessions.session":
                continue
            if connection.vendor == "postgresql":
                cursor.execute(f"LOCK TABLE {connection.ops.quote_name(model._meta.db_table)}")
            else:
                list(model._base_manager.select_for_update().values_list("pk"))
        yield


def rows() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (TokenFamily, AccessToken, RefreshToken))


def has_limit(limit: str) -> bool:
    if limit == "a transaction":
        return connection.vendor == "postgresql" and connection.pg_version >= 170_000  # type: ignore[attr-defined]
    return limit != "a statement" or not is_mysql()


@pytest.mark.parametrize(("limit", "atomic"), [("a lock", False), ("a statement", True), ("a transaction", True)])
def test_what_is_held_for_too_long_gives_503_until_it_is_free(limit: str, atomic: bool, tmp_path: Path) -> None:
    if not has_limit(limit):
        pytest.skip("this database has no such limit")
    options = connection.settings_dict["OPTIONS"] | LIMITS[connection.vendor][limit]
    database: dict[str, Any] = {"OPTIONS": options, "ATOMIC_REQUESTS": atomic}
    log, refused, again = tmp_path / "worker.log", set(), 0
    with (
        serving(1, log, environment({"DATABASES": {"default": database}})) as (worker,),
        closing(Wire(worker.port)) as wire,
    ):
        scene = Scene()
        for name, (prepare, well) in ENDPOINTS.items():
            scene.fresh()
            request = prepare(scene)
            with everything_held():
                before = rows()
                answer = wire.ask(request)
                assert answer.status in (503, well), (name, answer.body)
            if answer.status == 503:
                refused.add(name)
                assert is_friendly(answer)
                assert rows() == before
                while (status := wire.ask(request).status) != well:
                    again += 1
                    assert (status, again <= MOST_AGAIN) == (503, True), name
    assert refused >= NEEDED[connection.vendor], NEEDED[connection.vendor] - refused
    assert "Traceback" not in log.read_text()
