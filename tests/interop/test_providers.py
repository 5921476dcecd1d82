"""Our client side, in its running site, against authorization servers that others wrote, each a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from example_project.sites import Person, free_ports
from tests.interop import providers
from tests.interop.browser import Browser
from tests.interop.conftest import Site, populate, serve
from tests.interop.providers import SLUGS, Journey, Running

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, photo_box: Site) -> Iterator[Running]:
    """The app site, an oidc-provider, a django-oauth-toolkit, and our own server."""
    directory = tmp_path_factory.mktemp("providers")
    app_port, oidc_port, toolkit_port = free_ports(0, 0, 0)
    app_url, toolkit = f"http://127.0.0.1:{app_port}", f"http://127.0.0.1:{toolkit_port}"
    oidc = f"http://127.0.0.1:{oidc_port}/op"
    person = Person("grace")
    entries = providers.oidc_entries(oidc) | providers.toolkit_entries(toolkit, person)
    entries |= providers.our_entry(photo_box, app_url)
    app = providers.app_site(app_url, directory, entries)
    populate(app)
    with ExitStack() as stack:
        stack.enter_context(providers.oidc_provider(oidc, app_url, directory))
        stack.enter_context(providers.oauth_toolkit(toolkit, toolkit_port, app_url, person, directory))
        stack.enter_context(serve(app, app_port, directory))
        yield Running(app, directory / "app.sqlite3", entries)


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


def test_disconnect_ends_the_access_at_the_provider(journey: Journey) -> None:
    provider = journey.provider
    journey.connect("approve")
    held = journey.stored()
    assert provider.call(held["access_token"]).status_code == 200

    journey.disconnect()
    assert "Accounts you connected" in journey.browser.text
    assert "did not confirm" not in journey.browser.text
    assert journey.ask("stored") == {"connections": []}
    # django-oauth-toolkit's decorator says 403 to every token that it does not know.
    assert provider.call(held["access_token"]).status_code in (401, 403)
    refused = provider.refresh(held["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")

    journey.connect("approve")
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
