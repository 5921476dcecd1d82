"""A finished authorization URL in a page of the project, for ``<a href="…">Connect your account</a>``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from asgiref.sync import async_to_sync
from bs4 import BeautifulSoup
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template
from django.test import AsyncClient, RequestFactory
from django.test import Client as Browser

from django_pkce_auth.client import flow
from django_pkce_auth.client.browser import ConnectLinkMiddleware
from django_pkce_auth.client.flow import authorization_url
from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.client.providers import UnknownProvider
from django_pkce_auth.transport import TransportError
from tests.client.acme import CODE, Acme, come_back

COOKIE = "__Host-pkce_auth"


def link(response: HttpResponse) -> str:
    return BeautifulSoup(response.content, "html.parser").a["href"]


def render(source: str, request: HttpRequest | None, **values: str) -> str:
    context = RequestContext(request, values) if request else Context(values)
    return Template("{% load pkce_auth %}" + source).render(context)


@pytest.mark.parametrize("tag", ["connect_button", "login_button"])
def test_button_without_the_request_warns_as_djangos_csrf_token_does(tag: str, settings: Any) -> None:
    settings.DEBUG = True
    with pytest.warns(UserWarning, match="needs the request: render the page with it"):
        render(f'{{% {tag} "acme" %}}', None)
    settings.DEBUG = False
    assert 'value="None"' not in render(f'{{% {tag} "acme" %}}', None)


@pytest.fixture
def page_request(alice: Any) -> HttpRequest:
    """A request of Alice's that the middleware has seen."""
    request = RequestFactory().get("/")
    request.user = alice
    ConnectLinkMiddleware(lambda request: HttpResponse())(request)
    return request


def test_link_of_the_template_tag_holds_what_the_provider_needs_rfc6749_4_1_1(signed_in: Browser) -> None:
    response = signed_in.get("/links")
    sent = dict(parse_qsl(urlsplit(link(response)).query))
    assert len(sent.pop("state")) == 43
    assert len(sent.pop("code_challenge")) == 43
    assert sent == {
        "response_type": "code",
        "client_id": "us-at-acme",
        "redirect_uri": "https://testserver/connect/acme/callback",
        "scope": "photos profile",
        "code_challenge_method": "S256",
    }


def test_link_works_through_to_a_connection(signed_in: Browser) -> None:
    state = dict(parse_qsl(urlsplit(link(signed_in.get("/links"))).query))["state"]
    assert come_back(signed_in, code=CODE, state=state)["Location"] == "/api/read"
    assert Connection.objects.get().user.username == "alice"


def test_page_with_a_link_sends_the_cookie_and_is_never_cached(signed_in: Browser) -> None:
    response = signed_in.get("/links")
    assert response.cookies[COOKIE]["httponly"]
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


def test_page_without_a_link_is_left_alone_by_the_middleware(db: None) -> None:
    response = Browser().get("/login/")
    assert COOKIE not in response.cookies


async def _page(request: HttpRequest) -> HttpResponse:
    request._pkce_auth_browser = "b" * 43  # type: ignore[attr-defined]
    return HttpResponse()


def test_middleware_sends_the_cookie_from_async_views_too() -> None:
    response = async_to_sync(ConnectLinkMiddleware(_page))(RequestFactory().get("/"))
    assert response.cookies[COOKIE].value == "b" * 43
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_link_works_on_an_asgi_server(alice: Any) -> None:
    browser = AsyncClient()
    browser.force_login(alice)
    response = async_to_sync(browser.get)("/links")
    assert link(response).startswith("https://acme.example/oauth/authorize?")
    assert COOKIE in response.cookies


def test_link_without_the_middleware_says_what_to_add(alice: Any) -> None:
    request = RequestFactory().get("/")
    request.user = alice
    with pytest.raises(ImproperlyConfigured, match=r"django_pkce_auth\.client\.browser\.ConnectLinkMiddleware"):
        render('{% connect_url "acme" %}', request)
    assert not ConnectAttempt.objects.exists()


def test_link_without_a_request_in_the_context_says_what_to_add() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"context_processors\.request"):
        render('{% connect_url "acme" %}', None)


def test_button_of_an_unknown_provider_names_it(page_request: HttpRequest) -> None:
    with pytest.raises(Exception, match="nobody"):
        render('{% connect_button "nobody" %}', page_request)


def test_buttons_post_to_the_start_pages(page_request: HttpRequest) -> None:
    source = '{% connect_button "acme" next=next label=label %}{% login_button "acme" %}'
    html = render(source, page_request, next="/a?b=1&c=<2>", label="Link <photos>")
    page = BeautifulSoup(html, "html.parser")
    connect, log_in = page.select("form[method=post]")
    assert (connect["action"], log_in["action"]) == ("/connect/acme/", "/connect/acme/login")
    assert connect.select_one("input[name=next]")["value"] == "/a?b=1&c=<2>"
    assert connect.button.text == "Link <photos>"
    assert "Log in with Acme" in log_in.button.text


def test_link_for_a_visitor_leads_to_our_own_start_page(db: None) -> None:
    response = Browser().get("/links")
    assert link(response) == "/connect/acme/?next=%2Fapi%2Fread"
    assert not ConnectAttempt.objects.exists()
    assert COOKIE not in response.cookies


def test_link_asks_for_a_connection_that_ends_at_home_unless_told_otherwise(page_request: HttpRequest) -> None:
    assert authorization_url(page_request, "acme").startswith("https://acme.example/oauth/authorize?")
    attempt = ConnectAttempt.objects.get()
    assert (attempt.purpose, attempt.next_url) == (ConnectAttempt.Purpose.CONNECT, "")


def test_address_of_the_start_page_holds_what_to_begin_with() -> None:
    assert flow.start_url("acme") == "/connect/acme/"
    everything = flow.start_url("acme", next_url="/a?b", login=True, scope="photos profile", connection="7")
    assert everything == "/connect/acme/login?next=%2Fa%3Fb&scope=photos%20profile&connection=7"
    assert flow.finished_url("/a", popup="p1") == "/connect/finished?next=%2Fa&popup=p1"


def test_log_in_link_begins_an_attempt_for_a_visitor(page_request: HttpRequest) -> None:
    page_request.user = AnonymousUser()
    assert render('{% login_url "acme" %}', page_request).startswith("https://acme.example/oauth/authorize?")
    assert ConnectAttempt.objects.get().user is None


def test_log_in_link_of_a_provider_without_login_is_refused(page_request: HttpRequest, pkce_auth: Any) -> None:
    pkce_auth.provider(login=False)
    with pytest.raises(UnknownProvider, match="login"):
        authorization_url(page_request, "acme", login=True)


def test_link_of_an_unknown_provider_is_refused(page_request: HttpRequest) -> None:
    with pytest.raises(UnknownProvider, match="nobody"):
        authorization_url(page_request, "nobody")


def test_page_survives_a_provider_that_can_not_be_reached(
    signed_in: Browser, pkce_auth: Any, acme: Acme, log: Any
) -> None:
    pkce_auth.provider(authorize_url=None, token_url=None)
    acme.answers["https://acme.example/.well-known/oauth-authorization-server"] = TransportError("no answer at all")
    response = signed_in.get("/links")
    assert response.status_code == 200
    assert link(response) == "/connect/acme/?next=%2Fapi%2Fread"
    assert "no answer at all" in log.text


def test_each_rendering_begins_an_attempt_of_its_own_in_the_same_browser(signed_in: Browser) -> None:
    one, two = signed_in.get("/links"), signed_in.get("/links")
    assert link(one) != link(two)
    assert one.cookies[COOKIE].value == two.cookies[COOKIE].value
