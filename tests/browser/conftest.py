"""Both sites of the example as real processes, and a real Chromium.

Nothing here is collected without Playwright, which ``tox run -e browser`` installs; there, no test found is a failure.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from example_project.sites import Demo, Running, free_ports, prepare, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.visitor import Visitor

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"There is no {CHROMIUM}: install Chromium, or let CHROMIUM name it.", pytrace=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Databases with a user each and the registered client; whoever starts the sites gets a copy."""
    demo = Demo(tmp_path_factory.mktemp("prepared"), *free_ports(0, 0, 0))
    prepare(demo)
    return demo


@pytest.fixture
def sites(prepared: Demo, tmp_path: Path) -> Iterator[Running]:
    """Both sites, up, for one test that does something to them."""
    for database in prepared.directory.glob("*.sqlite3"):
        shutil.copy(database, tmp_path)
    with running(dataclasses.replace(prepared, directory=tmp_path)) as sites:
        yield sites


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Both sites, up for all tests that leave them so: to start them takes longer than most tests."""
    demo = Demo(tmp_path_factory.mktemp("shared"), *free_ports(0, 0, 0))
    prepare(demo)
    for database in demo.directory.glob("*.sqlite3"):
        shutil.copy(database, f"{database}.prepared")
    with running(demo):
        yield demo


@pytest.fixture
def demo(request: pytest.FixtureRequest) -> Demo:
    """Both sites, up, as they are after the set-up."""
    if "sites" in request.fixturenames:
        sites: Running = request.getfixturevalue("sites")
        return sites.demo
    demo: Demo = request.getfixturevalue("shared")
    for database in demo.directory.glob("*.sqlite3"):
        with closing(sqlite3.connect(f"{database}.prepared")) as before, closing(sqlite3.connect(database)) as used:
            before.backup(used)
    return demo


@pytest.fixture
def new_visitor(chromium: Browser, demo: Demo) -> Iterator[Callable[..., Visitor]]:
    """Make a browser with no cookies; at the end it must have had nothing to complain about."""
    from tests.browser.visitor import Visitor

    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        visitors.append(Visitor(chromium.new_context(**options), demo))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
    assert all(visitor.pages_seen for visitor in visitors)


@pytest.fixture
def visitor(new_visitor: Callable[..., Visitor]) -> Visitor:
    return new_visitor()
