from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.db.backends.dummy.base import DatabaseWrapper
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server import keys, throttle
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import Client, RedirectURI
from tests.four_steps import REDIRECT_URI, App, approve
from tests.socket_server import Behaviour, Server, serving

# Where the package is installed its entry point names the same module, which is then loaded once.
pytest_plugins = ["django_pkce_auth.pytest_plugin", "tests.standstill"]


@pytest.fixture(autouse=True)
def no_purge_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """One issuance in many removes what expired; statements are counted without it, and test_purge asks for it."""
    monkeypatch.setattr("django_pkce_auth.server.purge.ONE_IN", 0)


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Failures are counted in the cache, and one test's must not be held against the next."""
    cache.clear()


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are counted in windows of five minutes, and a test's must not fall into two."""
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: 1_000_000_000.0))


@pytest.fixture(autouse=True)
def no_signing_key_of_another_test() -> None:
    keys._found.clear()


@pytest.fixture
def alice(django_user_model: Any, db: None) -> Any:
    return django_user_model.objects.create_user(username="alice", password="wonderland")


@pytest.fixture
def signed_in(alice: Any) -> Browser:
    """Alice's browser, signed in at the authorization server."""
    browser = Browser()
    browser.force_login(alice)
    return browser


@pytest.fixture
def register(db: None) -> Callable[..., App]:
    def make(
        *, client_id: str = "photo-app", public: bool = False, uris: tuple[str, ...] = (REDIRECT_URI,), **fields: Any
    ) -> App:
        fields = {"name": "Photo App", "scope": "read write profile"} | fields
        kind = Client.Type.PUBLIC if public else Client.Type.CONFIDENTIAL
        client = Client.objects.create(client_id=client_id, type=kind, **fields)
        RedirectURI.objects.bulk_create(RedirectURI(client=client, uri=uri) for uri in uris)
        return App(client, None if public else add_secret(client, now=timezone.now()))

    return make


@pytest.fixture
def app(register: Callable[..., App]) -> App:
    """A confidential client."""
    return register()


@pytest.fixture
def public_app(register: Callable[..., App]) -> App:
    return register(client_id="phone-app", public=True)


@pytest.fixture
def code(app: App, signed_in: Browser) -> str:
    """A fresh code for ``app``, approved by Alice."""
    return approve(signed_in, app.link())["code"]


@pytest.fixture
def tokens(app: App, code: str) -> dict[str, Any]:
    """The token response that ``code`` gave."""
    response = app.redeem(code)
    assert response.status_code == 200, response.content
    return response.json()


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], Server]]:
    """Start servers on real sockets, which answer as they are told."""
    with serving() as start:
        yield start


@pytest.fixture
def no_database() -> Iterator[None]:
    """As with ``DATABASES = {}``: every query raises ImproperlyConfigured."""
    real = connections["default"]
    connections["default"] = DatabaseWrapper({})
    yield
    connections["default"] = real
