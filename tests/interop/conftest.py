"""Our two sites, running, and a browser for each test."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from example_project.sites import Person, free_ports
from tests.interop.browser import Browser
from tests.interop.processes import NODE, run, server

SET_GRANTS = """
import os
from django_pkce_auth.server.models import Client
newest = Client.objects.latest("pk")
newest.grant_types = os.environ["GRANTS"]
newest.save()
"""
DJANGO = (sys.executable, "-m", "django")


@dataclass(frozen=True)
class Site:
    """A running server, the person who lives there, and the environment of its commands."""

    url: str
    person: Person
    environment: dict[str, str]


@dataclass(frozen=True)
class Registered:
    """A client of our server. ``secret`` is None for a public one."""

    client_id: str
    secret: str | None
    redirect_uri: str


@pytest.fixture(scope="session", autouse=True)
def _node() -> None:
    """A missing part is a failure here, not a skip: else a broken machine would look like a pass."""
    assert shutil.which("node"), "node is not installed; the interop tests need Node.js 20 or later"
    assert (NODE / "node_modules").is_dir(), "the node clients are not installed; 'tox run -e interop' does it"


@pytest.fixture(scope="session")
def photo_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example's authorization server."""
    directory = tmp_path_factory.mktemp("server-site")
    [port] = free_ports(0)
    site = Site(
        url=f"http://127.0.0.1:{port}",
        person=Person("ada"),
        environment={
            "DJANGO_SETTINGS_MODULE": "example_project.settings.server_site",
            "EXAMPLE_DIRECTORY": str(directory),
            "EXAMPLE_SECRET_KEY": secrets.token_urlsafe(50),
            "EXAMPLE_SERVER_URL": f"http://127.0.0.1:{port}",
            "EXAMPLE_PRINT_SHOP_URL": "https://print-shop.example",
            "EXAMPLE_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        },
    )
    populate(site)
    with serve(site, port, directory):
        yield site


def populate(site: Site) -> None:
    """Make a site's database, with one user."""
    run([*DJANGO, "migrate", "--verbosity", "0"], environment=site.environment)
    password = {"DJANGO_SUPERUSER_PASSWORD": site.person.password}
    command = [*DJANGO, "createsuperuser", "--noinput", "--username", site.person.name, "--email", "ada@example.com"]
    run(command, environment=site.environment | password)


def serve(site: Site, port: int, directory: Path) -> AbstractContextManager[None]:
    command = [sys.executable, "-m", "example_project.serve", str(port)]
    return server(command, url=site.url, log=directory / "log", environment=site.environment)


@pytest.fixture
def register(photo_box: Site) -> Callable[..., Registered]:
    """Register a client as an operator does, by the command."""

    def make(
        *, redirect_uri: str, used: str | None = None, public: bool = False, odd: bool = False, grants: str = ""
    ) -> Registered:
        command = [*DJANGO, "pkce_client", "create", "Strict Client", "--json", "--redirect-uri", redirect_uri]
        command += ["--scope", "profile", "--scope", "photos", *(["--public"] if public else [])]
        variables = {}
        if odd:
            variables["ODD_SECRET"] = f"100%+odd:&=secret/with~signs-and=more%2Bof+them{secrets.token_hex(4)}"
            command += ["--client-id", f"odd+id%2F=&/%~{secrets.token_hex(4)}", "--secret-env", "ODD_SECRET"]
        made = json.loads(run(command, environment=photo_box.environment | variables))
        secret = variables.get("ODD_SECRET", made.get("client_secret"))
        if grants:  # the command leaves them at their default; the admin has a field for them
            run([*DJANGO, "shell", "-c", SET_GRANTS], environment=photo_box.environment | {"GRANTS": grants})
        return Registered(made["client_id"], secret, used or redirect_uri)

    return make


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()
