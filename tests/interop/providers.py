"""Authorization servers that others wrote, and ours, as entries of PKCE_AUTH["PROVIDERS"] and as running processes."""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2
from cryptography.fernet import Fernet

from example_project.sites import Person
from tests.interop.browser import TIMEOUT, Browser
from tests.interop.conftest import DJANGO, Site
from tests.interop.processes import HERE, NODE, run, server

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
    token_url: str
    revocation: str
    account: str
    refused: str = "You did not allow access"

    @property
    def issuer(self) -> str:
        return str(self.entry.get("issuer", ""))

    def call(self, token: str) -> httpx2.Response:
        return httpx2.get(self.userinfo, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT, trust_env=False)

    def revoke(self, refresh_token: str) -> None:
        """End the grant behind our back, as a person does in the provider's own settings."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        self._post(self.revocation, form).raise_for_status()

    def refresh(self, refresh_token: str) -> httpx2.Response:
        """Try the refresh token by hand, as a thief of it would."""
        return self._post(self.token_url, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def _post(self, url: str, form: dict[str, str]) -> httpx2.Response:
        form = form | {name: self.entry[name] for name in ("client_id", "client_secret") if name in self.entry}
        headers = {}
        if self.entry.get("client_authentication") == "client_secret_basic":
            pair = ":".join(quote_plus(form.pop(name)) for name in ("client_id", "client_secret"))
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return httpx2.post(url, data=form, headers=headers, timeout=TIMEOUT, trust_env=False)


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
OURS = "photo-box"
SLUGS = (*OIDC_CLIENTS, *TOOLKIT_CLIENTS, OURS)


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
            token_url=f"{issuer}/token",
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

    common = {
        "decide": decide,
        "userinfo": f"{issuer}/api/me",
        "token_url": f"{issuer}/o/token/",
        "revocation": f"{issuer}/o/revoke_token/",
    }
    explicit = TOOLKIT_CLIENTS["toolkit"] | {
        "authorize_url": f"{issuer}/o/authorize/",
        "token_url": f"{issuer}/o/token/",
        "revoke_url": f"{issuer}/o/revoke_token/",
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


def our_entry(server: Site, app_url: str) -> dict[str, Provider]:
    """Register the app at our own server, as an operator does."""
    command = [*DJANGO, "pkce_client", "create", "Postcards", "--json", "--redirect-uri", callback(app_url, OURS)]
    made = json.loads(run([*command, "--scope", "profile", "--scope", "photos"], environment=server.environment))

    def decide(browser: Browser, decision: str) -> None:
        if browser.has("input[name=password]"):
            person = server.person
            browser.press("form:has(input[name=password]) button", username=person.name, password=person.password)
        browser.press(f"button[name=decision][value={decision}]")

    entry = {
        "issuer": server.url,
        "client_id": made["client_id"],
        "client_secret": made["client_secret"],
        "userinfo_url": f"{server.url}/api/me",
        "scopes": ["profile", "photos"],
        # What was allowed once is not asked again, and these tests want to be asked each time.
        "extra_authorize_parameters": {"prompt": "consent"},
    }
    return {
        OURS: Provider(
            slug=OURS,
            entry=entry,
            decide=decide,
            userinfo=f"{server.url}/api/me",
            token_url=f"{server.url}/oauth/token",
            revocation=f"{server.url}/oauth/revoke",
            account=server.person.name,
        )
    }


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

    def disconnect(self) -> None:
        self.open(f"/connect/?disconnect={self.stored()['pk']}")
        self.browser.press("form[action='/connect/'] button")

    def stored(self) -> dict[str, Any]:
        [connection] = self.ask("stored")["connections"]
        return dict(connection)
