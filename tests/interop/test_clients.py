"""Strict clients that others wrote, unmodified, walk the whole flow against our running authorization server.

Each is a program of its own, under ``node/`` and ``python/``, that does what its library's manual says and reports
what it got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.interop.browser import Browser
from tests.interop.conftest import Registered, Site
from tests.interop.processes import HERE, talk

pytestmark = pytest.mark.interop

WEB = "https://app.example/callback"
NATIVE = "http://127.0.0.1/callback"
NATIVE_AT_A_PORT = "http://127.0.0.1:49613/callback"
KEPT = "?kept=1&also=a%20b"
SCOPE = "profile photos"
# openid-client strips the query from a redirect URI before it sends it to the token endpoint.
NO_QUERY = ("node/openid-client.mjs",)
PROGRAMS = (
    "node/openid-client.mjs",
    "node/oauth4webapi.mjs",
    "node/simple-oauth2.mjs",
    "python/authlib_requests.py",
    "python/authlib_httpx.py",
    "python/requests_oauthlib_session.py",
)
METHODS = {
    # method: (redirect URI as registered, as used, how it is registered)
    "client_secret_basic": (WEB, WEB, {"odd": True}),
    "client_secret_post": (WEB, WEB, {"odd": True}),
    "none": (NATIVE, NATIVE_AT_A_PORT, {"public": True}),
}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Both halves of the Basic header as they are; Authlib and requests-oauthlib know no other way.
RAW_BASIC = "raw client_secret_basic"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_client_walks_from_discovery_to_revocation(
    program: str, method: str, photo_box: Site, browser: Browser, register: Callable[..., Registered]
) -> None:
    registered, used, how = METHODS[method]
    query = "" if program in NO_QUERY else KEPT
    client = register(redirect_uri=registered + query, used=used + query, **how)
    check(walk(program, method, photo_box, browser, client), client, photo_box)


def test_client_that_sends_basic_credentials_raw_is_let_in(
    photo_box: Site, browser: Browser, register: Callable[..., Registered]
) -> None:
    client = register(redirect_uri=WEB, odd=True)
    check(walk("node/simple-oauth2.mjs", RAW_BASIC, photo_box, browser, client), client, photo_box)


def test_client_gets_tokens_for_itself_and_for_a_device(
    photo_box: Site, browser: Browser, register: Callable[..., Registered]
) -> None:
    client = register(redirect_uri=WEB, odd=True, grants=f"client_credentials refresh_token {DEVICE_GRANT}")

    def browse(asked: Mapping[str, str]) -> str:
        browser.open(asked["browse"])
        log_in(browser, photo_box)
        browser.press("form:has([name=user_code]) button[type=submit]")
        browser.press(f"button[name=decision][value={asked['decision']}]")
        return browser.url

    report = talk(HERE / "node/other-grants.mjs", setup_for(photo_box, client, "client_secret_basic"), browse)
    assert "refresh_token" not in report["machine"]
    assert report["introspected"]["active"] is True
    assert "username" not in report["introspected"]
    assert report["codes"]["verification_uri"] == f"{photo_box.url}/oauth/device"
    assert report["me"]["preferred_username"] == "ada"
    assert report["refreshed"]["access_token"] != report["token"]["access_token"]
    assert report["denied"] == "access_denied"


def walk(program: str, method: str, site: Site, browser: Browser, client: Registered) -> dict[str, Any]:
    browser.elsewhere = client.redirect_uri

    def browse(asked: Mapping[str, str]) -> str:
        browser.open(asked["browse"])
        log_in(browser, site)
        if not browser.landed:
            browser.press(f"button[name=decision][value={asked['decision']}]")
        assert browser.landed, f"{browser.url}: {browser.text[:500]}"
        return browser.url

    return talk(HERE / program, setup_for(site, client, method), browse)


def setup_for(site: Site, client: Registered, method: str) -> dict[str, str | None]:
    """What a client program needs to know."""
    return {
        "issuer": site.url,
        "client_id": client.client_id,
        "client_secret": client.secret,
        "method": method,
        "redirect_uri": client.redirect_uri,
        "scope": SCOPE,
        "api": f"{site.url}/api/me",
    }


def log_in(browser: Browser, site: Site) -> None:
    if browser.has("input[name=password]"):
        person = site.person
        browser.press("form:has(input[name=password]) button", username=person.name, password=person.password)


def check(report: dict[str, Any], client: Registered, site: Site) -> None:
    """One table for all of them: what each walk must have brought."""
    assert report["denied"] == {"error": "access_denied", "state": True, "iss": site.url}
    first, second = report["token"], report["refreshed"]
    for token in (first, second):
        assert token["token_type"].lower() == "bearer"
        assert token["expires_in"] > 0
        assert set(_words(token["scope"])) == set(SCOPE.split())
    assert first["access_token"] != second["access_token"]
    assert first["refresh_token"] != second["refresh_token"]
    assert report["me"]["preferred_username"] == "ada"
    introspected = report["introspected"]
    if client.secret is None:
        assert introspected == {"error": "unauthorized_client"}
    else:
        assert introspected["active"] is True
        assert introspected["client_id"] == client.client_id
        assert "username" not in introspected
        assert introspected["iss"] == site.url
        assert None not in introspected.values()
    assert report["revoked"] == {"status": 401, "error": "invalid_token"}
    assert report["refused"] == "invalid_grant"


def _words(scope: str | list[str]) -> list[str]:
    return scope.split() if isinstance(scope, str) else scope
