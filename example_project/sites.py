"""The demo's sites as child processes: prepared, started, waited for, and stopped whatever happens."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent
SERVER, APP, PRINT_SHOP = "server_site", "app_site", "print_shop"
SITES = (SERVER, APP, PRINT_SHOP)
START_SECONDS = 120
STOP_SECONDS = 5
SCOPES = ("profile", "photos")
JOB = "price-list-job"


class SiteFailed(Exception):
    """A site or one of its commands did not do what it had to; the text says which, and what it printed."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    password: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(9))


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the sites are and who lives there; everything secret is made anew for each run."""

    directory: Path
    server_port: int
    app_port: int
    print_shop_port: int
    server_host: str = "127.0.0.1"
    server_user: Person = field(default_factory=lambda: Person("ada"))
    app_user: Person = field(default_factory=lambda: Person("sam"))
    client_id: str = "postcards"
    client_secret: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(32))
    job_secret: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(32))
    encryption_keys: dict[str, str] = field(
        repr=False, default_factory=lambda: {site: Fernet.generate_key().decode() for site in (SERVER, APP)}
    )
    site_keys: dict[str, str] = field(
        repr=False, default_factory=lambda: {site: secrets.token_urlsafe(50) for site in SITES}
    )

    @property
    def server_url(self) -> str:
        return f"http://{self.server_host}:{self.server_port}"

    @property
    def app_url(self) -> str:
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def print_shop_url(self) -> str:
        return f"http://127.0.0.1:{self.print_shop_port}"

    def environment(self, site: str) -> dict[str, str]:
        """Return what a site's process gets; one site's keys and secrets are not the others' business."""
        common = {
            "DJANGO_SETTINGS_MODULE": f"example_project.settings.{site}",
            "EXAMPLE_DIRECTORY": str(self.directory),
            "EXAMPLE_SECRET_KEY": self.site_keys[site],
            "EXAMPLE_SERVER_URL": self.server_url,
        }
        own = {
            SERVER: {
                "EXAMPLE_PRINT_SHOP_URL": self.print_shop_url,
                "EXAMPLE_ENCRYPTION_KEY": self.encryption_keys[SERVER],
            },
            APP: {
                "EXAMPLE_APP_URL": self.app_url,
                "EXAMPLE_ENCRYPTION_KEY": self.encryption_keys[APP],
                "EXAMPLE_CLIENT_ID": self.client_id,
                "EXAMPLE_CLIENT_SECRET": self.client_secret,
            },
            PRINT_SHOP: {"EXAMPLE_PRINT_SHOP_URL": self.print_shop_url},
        }
        return dict(os.environ) | common | own[site]


OTHER_PORTS = range(20_000, 32_768)
"""Below those that a system gives out by itself, so that nobody gets one between its choice and its use."""


def free_ports(*preferred: int) -> list[int]:
    """Return a port for each: the preferred one, or another where it is taken."""
    with ExitStack() as held:
        return [held.enter_context(_bound(port)).getsockname()[1] for port in preferred]


def _bound(port: int) -> socket.socket:
    others = secrets.SystemRandom().sample(OTHER_PORTS, 20)
    for candidate in [port, *others] if port else others:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            # Of two sockets that are only bound, both would have the port.
            listener.listen(1)
        except OSError:
            listener.close()
        else:
            return listener
    raise SiteFailed("This machine has no free port on 127.0.0.1.")


def prepare(demo: Demo) -> None:
    """Make both databases, a user on each site, and register the app at the server."""
    # Print Shop stores nothing, and so has nothing to prepare.
    for site, person in ((SERVER, demo.server_user), (APP, demo.app_user)):
        _manage(demo, site, "migrate", "--verbosity", "0")
        password = {"DJANGO_SUPERUSER_PASSWORD": person.password}
        _manage(demo, site, "createsuperuser", "--noinput", "--username", person.name, "--email", "", **password)
    clients = demo.directory / "clients.toml"
    clients.write_text(_clients(demo))
    secrets_of_clients = {"CLIENT_SECRET": demo.client_secret, "JOB_SECRET": demo.job_secret}
    _manage(demo, SERVER, "pkce_client", "apply", str(clients), **secrets_of_clients)


def _clients(demo: Demo) -> str:
    """Return the file of the server's clients: the app, the pages about the API, and a job without a person."""
    return f"""
[[client]]
client_id = "{demo.client_id}"
name = "Postcards"
secret_env = "CLIENT_SECRET"
redirect_uris = ["{demo.app_url}/connect/photo-box/callback"]
scopes = ["profile", "photos"]

[[client]]
client_id = "api-docs"
name = "The API's own pages"
type = "public"
redirect_uris = ["{demo.server_url}/api/docs/back"]
scopes = ["profile", "photos"]

[[client]]
client_id = "{JOB}"
name = "Price list job"
secret_env = "JOB_SECRET"
scopes = ["photos"]
grant_types = ["client_credentials"]
token_format = "ES256"
resources = ["{demo.print_shop_url}"]
"""


def _manage(demo: Demo, site: str, *command: str, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT,
        env=demo.environment(site) | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SiteFailed(f"{site}: {command[0]} failed:\n{_tail(done.stderr or done.stdout)}")


@dataclass(slots=True)
class Running:
    """The processes of the sites."""

    demo: Demo
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def check(self) -> None:
        """Raise SiteFailed if a site has ended."""
        for site, process in self.processes.items():
            if process.poll() is not None:
                raise SiteFailed(f"{site} ended with status {process.returncode}:\n{_tail(self.log(site).read_text())}")

    def log(self, site: str) -> Path:
        return self.demo.directory / f"{site}.log"

    def logged(self) -> str:
        """Return the end of what each site logged."""
        return "\n".join(f"{site} logged:\n{_tail(self.log(site).read_text()) or '-'}" for site in self.processes)

    def start(self, site: str, port: int) -> None:
        with self.log(site).open("wb") as log:
            self.processes[site] = subprocess.Popen(
                [sys.executable, "-m", "example_project.serve", str(port)],
                cwd=ROOT,
                env=self.demo.environment(site),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops its sites
            )

    def wait_for(self, url: str) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            self.check()
            try:
                if httpx2.get(url, timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            if time.monotonic() > end:
                raise SiteFailed(f"{url} did not answer within {START_SECONDS} seconds.")
            time.sleep(0.1)

    def stop(self) -> None:
        for process in self.processes.values():
            _close(process)
        for process in self.processes.values():
            _wait(process)

    def stop_one(self, site: str) -> None:
        _close(self.processes[site])
        _wait(self.processes[site])


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(demo: Demo) -> Iterator[Running]:
    """The sites, up and answering; stopped when the block ends, however it ends."""
    sites = Running(demo)
    try:
        sites.start(SERVER, demo.server_port)
        sites.start(APP, demo.app_port)
        sites.start(PRINT_SHOP, demo.print_shop_port)
        for url in (demo.server_url, demo.app_url, demo.print_shop_url):
            sites.wait_for(f"{url}/")
        yield sites
    finally:
        sites.stop()


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])
