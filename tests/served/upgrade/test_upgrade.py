"""The release before this one serves the flow while the new one migrates the database, and beside it after (pain 6)."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client as Browser

from django_pkce_auth.models import RefreshToken
from tests.databases import is_mysql
from tests.four_steps import App
from tests.served.races.cast import Program, make_user
from tests.served.upgrade.visitor import Visitor
from tests.served.workers import ROOT, Worker, environment, project

PREVIOUS = (Path(__file__).parent / "PREVIOUS_COMMIT").read_text().strip()
VISITORS = 4
WALKS = 12
"""How often the flow is walked before the migration, after it, and beside the new release."""
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the release before, in a folder of its own."""
    archive = ["git", "archive", "--format=tar", PREVIOUS, "django_pkce_auth"]
    done = subprocess.run(archive, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history does not reach back to {PREVIOUS[:12]}: {done.stderr.decode()[:200]}")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder


def environment_of(release: Path) -> dict[str, str]:
    """The environment of processes that import the package from ``release``."""
    env = environment(SERVED_ROOT=str(release))
    return env | {"PYTHONPATH": os.pathsep.join([str(release), env["PYTHONPATH"]])}


def manage(release: Path, *arguments: str, **more: str) -> None:
    """Run a management command of that release."""
    where = "import django_pkce_auth, sys; sys.exit(not django_pkce_auth.__file__.startswith(sys.argv[1]))"
    for command in (["-c", where, str(release)], ["-m", "django", *arguments, "--verbosity=0"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=release,
            env=environment_of(release) | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def old_database(previous: Path) -> Iterator[None]:
    """The test's database as the release before left it."""
    manage(ROOT, "migrate", "pkce_auth", "zero")
    manage(previous, "migrate", "pkce_auth")
    yield
    manage(ROOT, "migrate", "pkce_auth")


@contextmanager
def visiting(visitors: list[Visitor]) -> Iterator[None]:
    """Let the visitors walk while the block lasts."""
    done = threading.Event()
    threads = [threading.Thread(target=visitor.walk_until, args=(done,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextmanager
def served(release: Path, log: Path) -> Iterator[list[Worker]]:
    env: Mapping[str, str] = environment_of(release)
    with project(log, env) as loaded:
        yield [loaded.start() for _ in range(2)]


def visitors(ports: list[int]) -> list[Visitor]:
    made = []
    for number in range(VISITORS):
        program, browser = Program.register(f"upgrade-{number}", public=False), Browser()
        browser.force_login(make_user(f"upgrade-{number}"))
        link = App(program.client, None).link()
        made.append(Visitor(program, browser.cookies["sessionid"].value, link, ports))
    return made


def walk_on(walking: list[Visitor]) -> None:
    """Wait until the visitors have walked on for a while, or failed."""
    goal, end = sum(visitor.walks for visitor in walking) + WALKS, time.monotonic() + PATIENCE_SECONDS
    while sum(visitor.walks for visitor in walking) < goal and not any(visitor.failures for visitor in walking):
        assert time.monotonic() < end, "the flow stands still"
        time.sleep(0.05)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks the whole file while a table is altered")
def test_no_request_fails_while_the_new_release_migrates(previous: Path, old_database: None, tmp_path: Path) -> None:
    if is_mysql():
        pytest.skip("MySQL can't take tables without waiting for them, and may end an exchange of that moment")
    log = tmp_path / "worker.log"
    with served(previous, log) as old:
        ports = [worker.port for worker in old]
        walking = visitors(ports)
        with visiting(walking):
            walk_on(walking)
            manage(ROOT, "migrate", "pkce_auth")
            walk_on(walking)
        with served(ROOT, log) as new:
            # Both releases side by side: a token of either works at the other.
            for visitor in walking:
                visitor.ports = [*ports, *(worker.port for worker in new)]
            with visiting(walking):
                walk_on(walking)
    assert [visitor.failures for visitor in walking] == [[]] * VISITORS, log.read_text()[-3000:]
    assert log.read_text() == ""


@pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB alone has a privilege for it")
def test_user_who_may_not_lock_tables_migrates(old_database: None) -> None:
    if is_mysql():
        pytest.skip("here it locks nothing by itself")
    user, password, database = "pkce_auth_no_locks", secrets.token_hex(), connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER {user} IDENTIFIED BY '{password}'")
        cursor.execute(f"GRANT ALL ON `{database}`.* TO {user}")
        cursor.execute(f"REVOKE LOCK TABLES ON `{database}`.* FROM {user}")
    try:
        manage(ROOT, "migrate", "pkce_auth", MARIADB_USER=user, MARIADB_PASSWORD=password)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP USER {user}")
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, RefreshToken._meta.db_table)
    assert not [name for name, what in constraints.items() if what["foreign_key"]]


def test_migrations_lead_to_nothing_and_back(tmp_path: Path) -> None:
    manage(ROOT, "migrate", "pkce_auth", "zero")
    assert not [name for name in connection.introspection.table_names() if name.startswith("pkce_auth")]
    manage(ROOT, "migrate", "pkce_auth")
    executor = MigrationExecutor(connection)
    assert not executor.migration_plan(executor.loader.graph.leaf_nodes("pkce_auth"))
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
