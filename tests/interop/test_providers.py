"""Our client side, in its running site, against authorization servers that others wrote, each a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.fernet import Fernet

from example_project.sites import Person, free_ports
from tests.interop.browser import Browser
from tests.interop.conftest import Site, populate, serve
from tests.interop.processes import HERE, NODE, server

pytestmark = pytest.mark.interop

ODD_ID = "odd+id%2F=&/%~client"
ODD_SECRET = "100%+odd:&=secret/with~signs-and=more%2Bof+them"
PLAIN_SECRET = secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Provider:
    """An entry of PKCE_AUTH["PROVIDERS"], and what a person and a resource server do there."""

    slug: str
    entry: dict[str, Any]
    decide: Callable[[Browser, str], None] = field(repr=False)
    userinfo: str
    revocation: str
    account: str
    refused: str = "You did not allow access"

    @property
    def issuer(self) -> str:
        return str(self.entry.get("issuer", ""))

    def call(self, token: str) -> httpx2.Response:
        return httpx2.get(self.userinfo, headers={"Authorization": f"Bearer {token}"}, trust_env=False)

    def revoke(self, refresh_token: str) -> None:
        """End the grant behind our back, as a person does in the provider's own settings."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": self.entry["client_id"]}
        if secret := self.entry.get("client_secret"):
            form["client_secret"] = secret
        httpx2.post(self.revocation, data=form, trust_env=False).raise_for_status()


@dataclass(frozen=True)
class Running:
    app: Site
    database: Path
    providers: dict[str, Provider]


OIDC_CLIENTS = {
    "oidc": {"client_id": ODD_ID, "client_secret": ODD_SECRET, "token_endpoint_auth_method": "client_secret_basic"},
    "oidc-post": {
        "client_id": "post-client",
        "client_secret": ODD_SECRET,
        "token_endpoint_auth_method": "client_secret_post",
    },
    "oidc-public": {"client_id": "public-client", "token_endpoint_auth_method": "none"},
}
TOOLKIT_CLIENTS = {
    "toolkit": {"client_id": "explicit", "client_secret": PLAIN_SECRET},
    "toolkit-by-issuer": {"client_id": "discovered", "client_secret": PLAIN_SECRET},
}
SLUGS = (*OIDC_CLIENTS, *TOOLKIT_CLIENTS)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The app site, an oidc-provider and a django-oauth-toolkit."""
    directory = tmp_path_factory.mktemp("providers")
    app_port, oidc_port, toolkit_port = free_ports(0, 0, 0)
    app_url, toolkit = f"http://127.0.0.1:{app_port}", f"http://127.0.0.1:{toolkit_port}"
    oidc = f"http://127.0.0.1:{oidc_port}/op"
    person = Person("grace")
    providers = oidc_entries(oidc) | toolkit_entries(toolkit, person)
    app = app_site(app_url, directory, providers)
    populate(app)
    with ExitStack() as stack:
        stack.enter_context(oidc_provider(oidc, app_url, directory))
        stack.enter_context(oauth_toolkit(toolkit, toolkit_port, app_url, person, directory))
        stack.enter_context(serve(app, app_port, directory))
        yield Running(app, directory / "app.sqlite3", providers)


def callback(app_url: str, slug: str) -> str:
    return f"{app_url}/connect/{slug}/callback"


def app_site(url: str, directory: Path, providers: dict[str, Provider]) -> Site:
    return Site(
        url=url,
        person=Person("sam"),
        environment={
            "DJANGO_SETTINGS_MODULE": "tests.interop.app_site.settings",
            "EXAMPLE_DIRECTORY": str(directory),
            "EXAMPLE_SECRET_KEY": secrets.token_urlsafe(50),
            "EXAMPLE_SERVER_URL": "http://127.0.0.1:9",
            "EXAMPLE_APP_URL": url,
            "EXAMPLE_ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "EXAMPLE_CLIENT_ID": "unused",
            "EXAMPLE_CLIENT_SECRET": "unused",
            "INTEROP_PROVIDERS": json.dumps({slug: each.entry for slug, each in providers.items()}),
        },
    )


def oidc_entries(issuer: str) -> dict[str, Provider]:
    """By ``issuer`` alone: the metadata lies where OpenID Connect Discovery 1.0 §4 has it."""
    providers = {}
    for slug, client in OIDC_CLIENTS.items():
        entry = {
            "issuer": issuer,
            "client_id": client["client_id"],
            "scopes": ["openid", "profile", "offline_access"],
            # Without it the server leaves offline_access, and with it the refresh token, out (OpenID Connect §11).
            "extra_authorize_parameters": {"prompt": "consent"},
        }
        if "client_secret" in client:
            entry |= {
                "client_secret": client["client_secret"],
                "client_authentication": client["token_endpoint_auth_method"],
            }
        providers[slug] = Provider(
            slug=slug,
            entry=entry,
            decide=decide_at_oidc_provider,
            userinfo=f"{issuer}/me",
            revocation=f"{issuer}/token/revocation",
            account="grace of oidc-provider",
        )
    return providers


def decide_at_oidc_provider(browser: Browser, decision: str) -> None:
    if browser.has("input[name=login]"):
        browser.press("button.login-submit", login="grace", password="any will do")
    if decision == "approve":
        browser.press("form button[type=submit]")
    else:
        browser.follow("a[href$='/abort']")


def oidc_provider(issuer: str, app_url: str, directory: Path) -> AbstractContextManager[None]:
    clients = [client | {"redirect_uris": [callback(app_url, slug)]} for slug, client in OIDC_CLIENTS.items()]
    setup = {"issuer": issuer, "clients": clients, "key": secrets.token_urlsafe(32)}
    return server(
        ["node", NODE / "oidc-provider.mjs"],
        url=f"{issuer}/.well-known/openid-configuration",
        log=directory / "oidc-provider.log",
        environment={"INTEROP_OIDC": json.dumps(setup)},
    )


def toolkit_entries(issuer: str, person: Person) -> dict[str, Provider]:
    def decide(browser: Browser, decision: str) -> None:
        if browser.has("#log-in"):
            browser.press("#log-in", username=person.name, password=person.password)
        browser.press("input[name=allow]" if decision == "approve" else "input[type=submit]:not([name])")

    common = {"decide": decide, "userinfo": f"{issuer}/api/me", "revocation": f"{issuer}/o/revoke_token/"}
    explicit = TOOLKIT_CLIENTS["toolkit"] | {
        "authorize_url": f"{issuer}/o/authorize/",
        "token_url": f"{issuer}/o/token/",
        "userinfo_url": f"{issuer}/api/me",
        "scopes": ["read"],
    }
    discovered = TOOLKIT_CLIENTS["toolkit-by-issuer"] | {
        "issuer": issuer,
        "userinfo_url": f"{issuer}/api/me",
        "scopes": ["read", "write"],
    }
    return {
        "toolkit": Provider(slug="toolkit", entry=explicit, account="grace of the toolkit", **common),
        "toolkit-by-issuer": Provider(
            slug="toolkit-by-issuer",
            entry=discovered,
            account="grace of the toolkit",
            # Its metadata promises iss in each answer, and its error answers have none: whose they are can't be told.
            refused="answer can't be used",
            **common,
        ),
    }


def oauth_toolkit(
    issuer: str, port: int, app_url: str, person: Person, directory: Path
) -> AbstractContextManager[None]:
    python = os.environ.get("INTEROP_TOOLKIT_PYTHON")
    assert python, "INTEROP_TOOLKIT_PYTHON must name a Python that has django-oauth-toolkit; 'tox run -e interop' does"
    setup = {
        "issuer": issuer,
        "database": str(directory / "toolkit.sqlite3"),
        "key": secrets.token_urlsafe(50),
        "user": person.name,
        "password": person.password,
        "clients": [client | {"redirect_uri": callback(app_url, slug)} for slug, client in TOOLKIT_CLIENTS.items()],
    }
    return server(
        [python, HERE / "toolkit" / "server.py", str(port)],
        url=issuer,
        log=directory / "toolkit.log",
        environment={"INTEROP_TOOLKIT": json.dumps(setup)},
    )


@dataclass
class Journey:
    """One person's way between the app site and a provider."""

    running: Running
    provider: Provider
    browser: Browser

    def open(self, path: str) -> None:
        self.browser.open(f"{self.running.app.url}{path}")

    def ask(self, what: str) -> Any:
        self.open(f"/{what}/{self.provider.slug}/")
        assert self.browser.status == 200, self.browser.text[:500]
        return json.loads(self.browser.body)

    def sign_in(self) -> None:
        self.open("/log-in/")
        person = self.running.app.person
        self.browser.press("form:has(input[name=password]) button", username=person.name, password=person.password)

    def connect(self, decision: str) -> None:
        self.open(f"/connect/{self.provider.slug}/")
        self.browser.press(f"form[action^='/connect/{self.provider.slug}/'] button")
        self.provider.decide(self.browser, decision)
        assert self.browser.url.startswith(self.running.app.url), f"{self.browser.url}: {self.browser.text[:500]}"

    def stored(self) -> dict[str, Any]:
        [connection] = self.ask("stored")["connections"]
        return dict(connection)


@pytest.fixture(params=SLUGS)
def journey(request: pytest.FixtureRequest, running: Running, browser: Browser) -> Journey:
    journey = Journey(running, running.providers[request.param], browser)
    journey.sign_in()
    return journey


def test_connection_is_made_used_refreshed_lost_and_mended(journey: Journey) -> None:
    provider = journey.provider
    journey.connect("approve")
    assert journey.browser.status == 200
    first = journey.stored()
    assert provider.account in journey.browser.text
    check_stored(journey, first)

    token = journey.ask("used")["access_token"]
    assert token == first["access_token"]
    account = provider.call(token)
    assert account.status_code == 200, account.text
    assert str(account.json().get("sub", account.json().get("id"))) == first["subject"]

    renewed = journey.ask("refreshed")["access_token"]
    second = journey.stored()
    assert second["pk"] == first["pk"]
    assert renewed == second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert provider.call(renewed).status_code == 200
    check_stored(journey, second)

    provider.revoke(second["refresh_token"])
    assert journey.ask("refreshed") == {"error": "ReconnectRequired"}
    assert journey.stored()["status"] == "needs_reconnect"

    journey.connect("approve")
    third = journey.stored()
    assert third["pk"] == first["pk"]
    check_stored(journey, third)
    assert provider.call(journey.ask("used")["access_token"]).status_code == 200


def check_stored(journey: Journey, connection: dict[str, Any]) -> None:
    provider = journey.provider
    assert connection["status"] == "active"
    assert connection["issuer"] == provider.issuer
    assert connection["subject"] in ("grace", "1")
    assert connection["label"] == provider.account
    assert set(connection["scope"].split()) == set(provider.entry["scopes"])
    assert connection["refresh_token"]
    assert 3000 < connection["seconds_left"] <= 36000
    at_rest = journey.running.database.read_bytes()
    for name in ("access_token", "refresh_token"):
        assert connection[name].encode() not in at_rest, f"the {name} lies in the database as it is"


def test_denial_connects_nothing_and_says_so(journey: Journey) -> None:
    before = journey.ask("stored")
    journey.connect("deny")
    assert "/callback" in journey.browser.url
    assert journey.browser.parameters["error"] == "access_denied"
    assert "code" not in journey.browser.parameters
    assert journey.provider.refused in journey.browser.text
    after = journey.ask("stored")
    for rows in (before, after):
        for row in rows["connections"]:
            row.pop("seconds_left")
    assert after == before


def test_python_of_the_toolkit_is_another_one() -> None:
    """What runs the server has nothing of ours, and what runs ours has nothing of the server."""
    assert os.environ["INTEROP_TOOLKIT_PYTHON"] != sys.executable
    with pytest.raises(ImportError):
        import oauth2_provider  # noqa: F401
