"""What must never become a redirect: a wrong client or redirect URI (RFC 6749 §3.1.2.4, §4.1.2.1; RFC 9700 §4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone
from django.utils.html import escape

from django_pkce_auth import conf
from django_pkce_auth.protocol.errors import OAuthError
from django_pkce_auth.protocol.parameters import Parameters
from django_pkce_auth.server.authorize import RedirectableError, UnsafeRequest, validate
from django_pkce_auth.server.models import Client, RedirectURI
from tests.four_steps import REDIRECT_URI, App, returned

SCRIPT = "<script>alert(1)</script>"


def explains(response: Any, words: str, *absent: str) -> None:
    """The answer is a page for a person: nobody is sent anywhere, and nothing that arrived is repeated."""
    assert response.status_code == 400
    assert "Location" not in response
    assert "Refresh" not in response
    page = response.content.decode()
    assert words in page
    assert "Nothing was shared" in page
    for text in absent:
        assert text not in page
        assert escape(text) not in page


@pytest.fixture(params=["GET", "POST"])
def send(request: pytest.FixtureRequest, signed_in: Browser) -> Callable[[str], HttpResponse]:
    """Visit the link, or press Allow on a prompt that was made for it."""
    if request.param == "GET":
        return signed_in.get
    return lambda link: signed_in.post(link, {"decision": "approve"})


@pytest.mark.parametrize(
    ("client_id", "words"),
    [
        (None, "has no client_id"),
        ("", "has no client_id"),
        ("unknown", "not one of an app that is registered"),
        ("PHOTO-APP", "not one of an app that is registered"),
        ("photo-app ", "not one of an app that is registered"),
        (SCRIPT, "not one of an app that is registered"),
        ("photo-app\n", "not one of an app that is registered"),
        ("ph\u00f8to-app", "not one of an app that is registered"),
        ("x" * 4000, "not one of an app that is registered"),
    ],
)
def test_client_unknown_or_missing_is_a_page(app: App, send: Any, client_id: str | None, words: str) -> None:
    explains(send(app.link_with(client_id=client_id)), words, SCRIPT, REDIRECT_URI)


def test_client_disabled_is_a_page(app: App, send: Any) -> None:
    app.client.disabled_at = timezone.now()
    app.client.save()
    explains(send(app.link()), "has been disabled", "app.example")


MISMATCHES = {
    "letter case of the path": "https://app.example/Callback?kept=1",
    "letter case of the host": "https://APP.example/callback?kept=1",
    "letter case of the scheme": "HTTPS://app.example/callback?kept=1",
    "trailing slash": "https://app.example/callback/?kept=1",
    "default port": "https://app.example:443/callback?kept=1",
    "another port": "https://app.example:8443/callback?kept=1",
    "user name": "https://alice@app.example/callback?kept=1",
    "host as user name": "https://app.example@evil.example/callback?kept=1",
    "host as user name and password": "https://app.example:443@evil.example/callback?kept=1",
    "prefix": "https://app.example/call",
    "without its query": "https://app.example/callback",
    "longer path": "https://app.example/callback/evil?kept=1",
    "longer query": "https://app.example/callback?kept=1&more=2",
    "empty query part": "https://app.example/callback?kept=1&",
    "fragment": "https://app.example/callback?kept=1#",
    "longer host": "https://app.example.evil.example/callback?kept=1",
    "host below": "https://evil.app.example/callback?kept=1",
    "http": "http://app.example/callback?kept=1",
    "dot segments": "https://app.example/x/../callback?kept=1",
    "percent-encoded letter": "https://app.example/%63allback?kept=1",
    "backslash": "https://app.example\\@evil.example/callback?kept=1",
    "leading space": " https://app.example/callback?kept=1",
    "trailing space": "https://app.example/callback?kept=1 ",
    "line end": "https://app.example/callback?kept=1\r\nX-Injected: 1",
    "without scheme": "//app.example/callback?kept=1",
    "relative": "/callback?kept=1",
    "javascript": "javascript:alert(document.cookie)//https://app.example/callback?kept=1",
    "data": "data:text/html," + SCRIPT,
    "markup": SCRIPT,
    "not a URI": "http://[",
    "letters outside ASCII": "https://app.ex\u0430mple/callback?kept=1",
}


@pytest.mark.parametrize("redirect_uri", MISMATCHES.values(), ids=MISMATCHES.keys())
def test_redirect_uri_that_is_not_the_registered_string_is_a_page(app: App, send: Any, redirect_uri: str) -> None:
    response = send(app.link_with(redirect_uri=redirect_uri))
    explains(response, "must be the same to the character", SCRIPT, redirect_uri)
    assert "X-Injected" not in response


def test_redirect_uri_of_another_client_is_a_page(app: App, register: Callable[..., App], send: Any) -> None:
    register(client_id="other", uris=("https://other.example/callback",))
    explains(send(app.link(redirect_uri="https://other.example/callback")), "not one that the app", "other.example")


def test_redirect_uri_missing_with_several_registered_is_a_page(register: Callable[..., App], send: Any) -> None:
    app = register(uris=("https://app.example/one", "https://app.example/two"))
    explains(send(app.link(redirect_uri=None)), "has no redirect_uri", "app.example")


def test_redirect_uri_missing_with_none_registered_is_a_page(register: Callable[..., App], send: Any) -> None:
    explains(send(register(uris=()).link(redirect_uri=None)), "has no redirect_uri")


def test_redirect_uri_missing_with_one_registered_goes_there(app: App, signed_in: Browser) -> None:
    answer = signed_in.post(app.link(redirect_uri=None), {"decision": "approve"})
    assert answer["Location"].startswith(REDIRECT_URI + "&code=")
    tokens = app.redeem(returned(answer)["code"])
    assert tokens.status_code == 200


def test_wrong_redirect_uri_comes_before_any_other_error(app: App, send: Any) -> None:
    """RFC 6749 §4.1.2.1: only a checked URI may get an error, however many there are."""
    link = app.link_with(redirect_uri="https://evil.example/", response_type="token", code_challenge=None, scope="x")
    explains(send(link), "must be the same to the character", "evil.example")


def test_page_names_the_nearest_uri_under_debug_only(app: App, signed_in: Browser, settings: Any) -> None:
    link = app.link(redirect_uri="https://app.example/callback/?kept=1")
    explains(signed_in.get(link), "must be the same to the character", "app.example")
    settings.DEBUG = True
    page = signed_in.get(link).content.decode()
    assert "nearest registered one is https://app.example/callback?kept=1" in page
    assert "trailing slash" in page


def test_page_under_debug_shows_markup_as_text(app: App, signed_in: Browser, settings: Any) -> None:
    settings.DEBUG = True
    page = signed_in.get(app.link(redirect_uri=f"https://app.example/{SCRIPT}")).content.decode()
    assert SCRIPT not in page
    assert escape(SCRIPT) in page


def test_log_says_which_uri_was_refused(app: App, signed_in: Browser, caplog: pytest.LogCaptureFixture) -> None:
    signed_in.get(app.link(redirect_uri="https://app.example/callback/?kept=1"))
    assert "the nearest registered one is https://app.example/callback?kept=1" in caplog.text


def test_anonymous_visitor_is_not_asked_to_log_in_for_a_link_that_cannot_work(app: App) -> None:
    explains(Browser().get(app.link(redirect_uri="https://evil.example/")), "must be the same", "evil.example")


LOOPBACK = "http://127.0.0.1:8400/callback"


@pytest.mark.parametrize("port", ["", ":1", ":8400", ":49152", ":65535"])
def test_loopback_redirect_uri_may_have_any_port_rfc8252_7_3(
    register: Callable[..., App], signed_in: Browser, port: str
) -> None:
    app = register(client_id="cli", public=True, uris=(LOOPBACK,))
    uri = f"http://127.0.0.1{port}/callback"
    answer = signed_in.post(app.link(redirect_uri=uri), {"decision": "approve"})
    assert answer["Location"].startswith(f"{uri}?code=")
    assert app.redeem(returned(answer)["code"], redirect_uri=uri).status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:8400/other",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:/callback",
        "http://localhost:8400/callback",
        "http://127.0.0.2:8400/callback",
        "http://127.0.0.1:8400@evil.example/callback",
        "http://127.0.0.1:8400/callback?more",
        "https://127.0.0.1:8400/callback",
        "http://[::1]:8400/callback",
    ],
)
def test_loopback_redirect_uri_may_differ_in_nothing_but_the_port(
    register: Callable[..., App], send: Any, uri: str
) -> None:
    app = register(client_id="cli", public=True, uris=(LOOPBACK,))
    explains(send(app.link(redirect_uri=uri)), "only the port of a loopback address may differ", uri)


def test_prompt_warns_of_a_program_on_the_users_own_machine(register: Callable[..., App], signed_in: Browser) -> None:
    app = register(client_id="cli", public=True, uris=(LOOPBACK,))
    assert "program on your own device" in signed_in.get(app.link(redirect_uri=LOOPBACK)).content.decode()


def mistake(app: App, **changes: str | None) -> UnsafeRequest:
    pairs = {"client_id": app.client.client_id, "redirect_uri": REDIRECT_URI} | changes
    parameters = Parameters({name: (value,) for name, value in pairs.items() if value is not None})
    with pytest.raises(UnsafeRequest) as unsafe:
        validate(parameters, user=None, settings=conf.settings())
    return unsafe.value


def test_page_tells_the_app_what_to_mend(app: App) -> None:
    assert mistake(app, client_id=None).public == (
        "The link has no client_id. The app that sent you here must put its own into the link."
    )
    assert mistake(app, client_id="nobody").public == (
        "The client_id in the link is not one of an app that is registered here."
    )
    assert mistake(app, redirect_uri="https://app.example/").public == (
        "The redirect_uri in the link is not one that the app has registered. It must be the same to the character; "
        "only the port of a loopback address may differ."
    )
    RedirectURI.objects.all().delete()
    missing = mistake(app, redirect_uri=None)
    assert missing.public == (
        "The link has no redirect_uri. The app must name one, as it has not registered exactly one."
    )
    assert missing.detail == "client photo-app has 0 redirect URIs"
    Client.objects.update(disabled_at=timezone.now())
    assert mistake(app).public == "The app that sent you here has been disabled by this site's administrators."


def test_client_that_may_not_ask_is_told(app: App, signed_in: Browser) -> None:
    Client.objects.update(grant_types="client_credentials")
    answer = returned(signed_in.get(app.link()))
    assert answer["error"] == "unauthorized_client"
    assert answer["error_description"] == "The client is not registered for the authorization code flow."


def test_client_that_asks_for_nothing_is_told(app: App, signed_in: Browser) -> None:
    answer = returned(signed_in.get(app.link_with(scope=None)))
    assert answer["error"] == "invalid_scope"
    text = "scope is missing, and the client has no default scopes; name at least one."
    assert answer["error_description"] == text


def test_error_that_is_not_redirected_reads_as_what_the_person_is_told() -> None:
    assert (str(UnsafeRequest("No client.")), UnsafeRequest("No client.").detail) == ("No client.", "")
    error = OAuthError("invalid_scope", "Unknown scope.")
    beyond = RedirectableError(error, "https://app.example/", None, is_silent=False)
    assert str(beyond) == "invalid_scope"
