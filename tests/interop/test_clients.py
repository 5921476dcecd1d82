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
# Both halves of the Basic header as they are, where the library can be told so, or knows no other way.
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


def walk(program: str, method: str, site: Site, browser: Browser, client: Registered) -> dict[str, Any]:
    browser.elsewhere = client.redirect_uri
    setup = {
        "issuer": site.url,
        "client_id": client.client_id,
        "client_secret": client.secret,
        "method": method,
        "redirect_uri": client.redirect_uri,
        "scope": SCOPE,
        "api": f"{site.url}/api/me",
    }

    def browse(asked: Mapping[str, str]) -> str:
        browser.open(asked["browse"])
        if browser.has("input[name=password]"):
            browser.press("form:has(input[name=password]) button", username="ada", password=site.person.password)
        if not browser.landed:
            browser.press(f"button[name=decision][value={asked['decision']}]")
        assert browser.landed, f"{browser.url}: {browser.text[:500]}"
        return browser.url

    return talk(HERE / program, setup, browse)


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
        assert introspected["username"] == "ada"
        assert introspected["iss"] == site.url
        assert None not in introspected.values()
    assert report["revoked"] == {"status": 401, "error": "invalid_token"}
    assert report["refused"] == "invalid_grant"


def _words(scope: str | list[str]) -> list[str]:
    return scope.split() if isinstance(scope, str) else scope
