"""``BearerMiddleware``: plain views see whose token it is, and no request with a token is sent to a log-in page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory, override_settings
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from rest_framework.authentication import SessionAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from django_pkce_auth.checks import check_bearer_middleware
from django_pkce_auth.resource.drf import BearerAuthentication, HasScopes
from django_pkce_auth.resource.middleware import BearerMiddleware
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, Client, Consent
from django_pkce_auth.testing import issue_access_token
from tests.four_steps import App, approve, bearer

OURS = "django_pkce_auth.resource.middleware.BearerMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
STACK = list(django_settings.MIDDLEWARE)
STACK.insert(STACK.index(CSRF), OURS)
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


@login_required
def mine(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


@permission_required("pkce_auth.view_client", raise_exception=True)
def permitted(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@user_passes_test(lambda user: user.is_staff, login_url="/their/own/page")
async def own_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


class SessionFirst(APIView):
    authentication_classes: Any = [SessionAuthentication, BearerAuthentication]
    permission_classes: Any = [HasScopes]
    required_scopes = ("read",)

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user), "client": request.auth.client_id})

    post = get


class ForTools(SessionFirst):
    authentication_classes: Any = [BearerAuthentication]
    resource: str | None = None


urlpatterns = [
    path("mine", mine),
    path("permitted", permitted),
    path("tools/mine", mine),
    path("own-page", own_page),
    path("session-first", SessionFirst.as_view()),
    path("for-tools", ForTools.as_view(resource="/tools")),
    path("", include("tests.resource.guarded")),
]


@pytest.fixture(autouse=True)
def stack() -> Iterator[None]:
    with override_settings(MIDDLEWARE=STACK, ROOT_URLCONF=__name__):
        yield


def call(path: str, raw: str | None, method: str = "GET", **more: Any) -> Any:
    headers = {} if raw is None else bearer(raw)
    return Browser(enforce_csrf_checks=True).generic(method, path, headers=headers, **more)


def test_plain_view_sees_the_grant_and_its_user(alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    with CaptureQueriesContext(connection) as captured:
        assert call("/plain", raw).json() == {"user": "alice", "scopes": ["read"]}
    assert len(captured) == 1
    assert call("/plain", None).json() == {"user": "AnonymousUser", "scopes": None}


def test_guarded_view_behind_it_costs_one_query(alice: Any) -> None:
    raw = issue_access_token(alice, ["read", "profile"])
    for path_ in ("/guarded/function", "/guarded/drf", "/guarded/ninja/sync", "/guarded/mixin"):
        with CaptureQueriesContext(connection) as captured:
            assert call(path_, raw).status_code == 200
        assert len(captured) == 1, path_


@pytest.mark.parametrize(("header", "status"), [("Bearer x", 401), ("Bearer a b", 400), ("bearer", 400)])
@pytest.mark.parametrize("path_", ["/mine", "/plain", "/permitted", "/async-plain"])
def test_bad_token_is_refused_and_never_redirected(db: None, path_: str, header: str, status: int) -> None:
    response = Browser().get(path_, headers={"Authorization": header})
    assert response.status_code == status
    assert "Location" not in response
    assert response["WWW-Authenticate"].startswith("Bearer error=")
    assert response["Cache-Control"] == "no-store"


def test_other_schemes_and_none_go_on_as_ever(signed_in: Browser, db: None) -> None:
    assert call("/mine", None).status_code == 302
    assert Browser().get("/mine", headers={"Authorization": "Basic eDp5"}).status_code == 302
    assert signed_in.get("/mine").content == b"alice"


def test_log_in_and_permissions_are_those_of_the_token(alice: Any, django_user_model: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    assert call("/mine", raw).content == b"alice"
    assert call("/permitted", raw).status_code == 403
    alice.user_permissions.add(Permission.objects.get(codename="view_client"))
    assert call("/permitted", raw).status_code == 200
    browser = Browser()
    browser.force_login(django_user_model.objects.create_user(username="bob"))
    assert browser.get("/mine", headers=bearer(raw)).content == b"alice"


def test_client_that_acts_for_itself_is_nobody_or_its_service_user(db: None, django_user_model: Any) -> None:
    raw = issue_access_token(None, ["read"])
    assert call("/plain", raw).json() == {"user": "AnonymousUser", "scopes": ["read"]}
    refused = call("/mine", raw)
    assert (refused.status_code, refused.json()["error"], "Location" in refused) == (403, "access_denied", False)
    robot = django_user_model.objects.create_user(username="robot")
    Client.objects.update(service_user=robot)
    assert call("/mine", raw).content == b"robot"


@pytest.mark.parametrize("path_", ["/own-page", "/mine"])
def test_token_is_never_sent_to_a_log_in_page_even_where_its_user_may_not(path_: str, alice: Any) -> None:
    raw = issue_access_token(None if path_ == "/mine" else alice, ["read"])
    refused = call(path_, raw)
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
    assert "Location" not in refused
    assert refused["Cache-Control"] == "no-store"
    assert call(path_, None).status_code == 302


@pytest.mark.parametrize("decision", ["approve", "deny", "switch"])
def test_client_cannot_allow_itself_more_with_the_token_that_it_has_rfc6749_1_5(
    app: App, tokens: dict[str, Any], decision: str
) -> None:
    """The consent page is answered by people: a token for one scope would soon be one for all of them."""
    refused = Browser(enforce_csrf_checks=True).post(
        app.link(scopes=("read", "write", "profile")), {"decision": decision}, headers=bearer(tokens["access_token"])
    )
    assert refused.status_code == 403
    assert not AuthorizationCode.objects.filter(family=None).exists()
    assert Consent.objects.get().scopes == ("read",)


PEOPLES_PAGES = ("/oauth/apps", "/oauth/device", "/connect/", "/connect/acme/", "/admin/pkce_auth/client/add/")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path_", PEOPLES_PAGES)
def test_no_token_opens_a_page_for_people(path_: str, method: str, admin_user: Any) -> None:
    assert call(path_, issue_access_token(admin_user, ["read"]), method).status_code == 403


@pytest.mark.parametrize("path_", PEOPLES_PAGES)
def test_page_for_people_is_the_sessions_whatever_token_came_along(path_: str, alice: Any, admin_client: Any) -> None:
    """Some proxies add a header of their own to whatever a browser sends."""
    for raw in (issue_access_token(alice, ["read"]), "x"):
        response = admin_client.get(path_, headers=bearer(raw))
        assert response.status_code == 200
        assert "alice" not in response.content.decode()


def test_documents_for_everybody_are_open_whatever_token_came_along(db: None) -> None:
    assert call("/.well-known/oauth-authorization-server", "x").status_code == 200


def test_other_redirects_go_on_as_ever(alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    for place in ("/elsewhere", "https://testserver/elsewhere?next=/another", "http://[", "?next="):

        def view(request: HttpRequest, place: str = place) -> HttpResponse:
            return HttpResponse(status=302, headers={"Location": place})

        request = RequestFactory().get("/here", headers=bearer(raw))
        assert BearerMiddleware(view)(request)["Location"] == place  # type: ignore[index]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_framework_reads_the_token_itself_whatever_comes_first(alice: Any, method: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        answer = call("/session-first", issue_access_token(alice, ["read"]), method)
    assert answer.json() == {"user": "alice", "client": "test-client"}
    assert sum(each["sql"].startswith("SELECT") and "accesstoken" in each["sql"] for each in captured) == 1
    lacks = call("/session-first", issue_access_token(alice, ["write"]), method)
    assert (lacks.status_code, "insufficient_scope" in lacks["WWW-Authenticate"]) == (403, True)
    assert call("/session-first", "x", method).status_code == 401


def test_resource_that_a_view_is_routed_with_is_left_to_it(alice: Any) -> None:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        raw = issue_access_token(alice, ["read"])
        assert call("/for-tools", raw).status_code == 401
        AccessToken.objects.update(resource="https://testserver/tools")
        assert call("/for-tools", raw).status_code == 200


def test_csrf_token_is_needed_unless_a_valid_access_token_is_there(alice: Any, signed_in: Browser) -> None:
    raw = issue_access_token(alice, ["read"])
    assert call("/mine", raw, "POST").status_code == 200
    assert call("/mine", None, "POST").status_code == 403
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies = signed_in.cookies
    assert browser.post("/mine").status_code == 403
    assert browser.post("/mine", headers={"Authorization": "Basic eDp5"}).status_code == 403
    assert browser.post("/mine", headers=bearer("wrong")).status_code == 401


def test_token_of_another_resource_opens_nothing_here(alice: Any) -> None:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        raw = issue_access_token(alice, ["read"])
        assert call("/tools/mine", raw).status_code == 401
        assert call("/mine", raw).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_async_chain_answers_alike(alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])

    async def get(token: str) -> Any:
        try:
            return await AsyncClient().get("/async-plain", headers=bearer(token))
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(get(raw)).json() == {"user": "alice"}
    assert asyncio.run(get("x")).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_async_chain_sends_no_token_to_a_log_in_page(alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])

    async def get() -> Any:
        try:
            return await AsyncClient().get("/own-page", headers=bearer(raw))
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(get()).status_code == 403


def test_check_warns_of_a_place_behind_csrf() -> None:
    def found() -> list[str | None]:
        return [each.id for each in check_bearer_middleware()]

    assert found() == []
    with override_settings(MIDDLEWARE=[name for name in STACK if name != OURS] + [OURS]):
        assert found() == ["pkce_auth.W023"]


def test_protocol_and_guards_work_behind_login_required_middleware(app: App, signed_in: Browser, alice: Any) -> None:
    """Django's own middleware sends whatever is not marked to the log-in page (Django 5.1)."""
    with override_settings(MIDDLEWARE=[*STACK, LOGIN_REQUIRED]):
        answer: Any = app.redeem(approve(signed_in, app.link())["code"])
        raw = answer.json()["access_token"]
        for path_ in ("/plain", "/guarded/function", "/guarded/mixin", "/guarded/drf", "/async-plain"):
            assert "Location" not in call(path_, raw)
            assert call(path_, raw).status_code in (200, 403)
        for path_ in ("/guarded/function", "/guarded/mixin", "/guarded/drf"):
            assert call(path_, None).status_code == 401
        for path_ in (
            "/oauth/jwks",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource",
        ):
            assert Browser().get(path_).status_code == 200
        for path_ in ("token", "revoke", "introspect", "device_authorization"):
            assert Browser().post(f"/oauth/{path_}").status_code == 400
        assert Browser().get("/oauth/authorize?client_id=unknown").status_code == 400
        assert "/login/" in Browser().get(app.link())["Location"]
        assert Browser().get("/connect/acme/callback?code=x&state=y").status_code == 400
        assert Browser().get("/plain").status_code == 302
