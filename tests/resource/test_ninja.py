"""django-ninja beside its own ways of authenticating, behind middleware, and its throttles (pains 22 and 33)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.http import HttpRequest
from django.test import Client as Browser
from django.test import override_settings
from django.urls import path
from ninja import NinjaAPI, Router
from ninja.security import APIKeyHeader, django_auth
from ninja.testing import TestAsyncClient, TestClient

from django_pkce_auth.resource.ninja import BearerAuth, ClientRateThrottle, secure
from django_pkce_auth.server.models import AccessToken, Client
from django_pkce_auth.testing import issue_access_token
from tests.four_steps import bearer

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


class Key(APIKeyHeader):
    param_name = "X-Key"

    def authenticate(self, request: HttpRequest, key: str | None) -> str | None:
        return key if key == "right" else None


def who(request: HttpRequest) -> dict[str, str]:
    return {"user": str(request.user)}


api = secure(NinjaAPI(urls_namespace="beside"))
for method in (api.get, api.post):
    method("/token-first", auth=[BearerAuth("read"), django_auth], operation_id=f"first{method}")(who)
    method("/session-first", auth=[django_auth, BearerAuth("read")], operation_id=f"last{method}")(who)
api.get("/token", auth=BearerAuth("read"))(who)
api.get("/tools", auth=BearerAuth("read", resource="/tools"))(who)
api.get("/key", auth=Key())(who)
api.get("/open")(who)
api.post("/token-and-open", auth=BearerAuth("read"))(who)
api.get("/token-and-open")(who)
api.get("/rate", auth=BearerAuth("read"), throttle=[ClientRateThrottle("2/min")])(who)
api.get("/rate-by-key", auth=Key(), throttle=[ClientRateThrottle("1/min")])(who)

untaught = NinjaAPI(urls_namespace="untaught")
untaught.get("/token", auth=BearerAuth("read"))(who)

tested = secure(NinjaAPI(urls_namespace="tested"))
tested.get("/sync", auth=BearerAuth("read"))(who)


@tested.get("/async", auth=BearerAuth("read"))
async def who_async(request: HttpRequest) -> dict[str, str]:
    return {"user": str(await request.auser())}


whole = secure(NinjaAPI(urls_namespace="whole", auth=BearerAuth("read")))
whole.get("/inherited")(who)
whole.get("/open", auth=None)(who)
router = Router(auth=BearerAuth("profile"))
router.get("/photos")(who)
whole.add_router("/routed", router)

urlpatterns = [path("ninja/", api.urls), path("untaught/", untaught.urls), path("whole/", whole.urls)]


@pytest.fixture(autouse=True)
def urlconf() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield


def get(place: str, raw: str | None = None, **more: Any) -> Any:
    return Browser().get(f"/ninja/{place}", headers=({} if raw is None else bearer(raw)) | more)


@pytest.mark.parametrize("place", ["token-first", "session-first"])
def test_session_beside_a_token_works_in_either_order(place: str, alice: Any, signed_in: Browser) -> None:
    assert get(place, issue_access_token(alice, ["read"])).json() == {"user": "alice"}
    assert signed_in.get(f"/ninja/{place}").json() == {"user": "alice"}
    refused = get(place)
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].startswith('Bearer scope="read"')
    assert refused.json() == {}


def test_token_in_front_of_a_session_needs_no_csrf_token(alice: Any, signed_in: Browser) -> None:
    browser = Browser(enforce_csrf_checks=True)
    raw = issue_access_token(alice, ["read"])
    assert browser.post("/ninja/token-first", headers=bearer(raw)).status_code == 200
    browser.cookies = signed_in.cookies
    assert browser.post("/ninja/token-first").status_code == 403


@pytest.mark.parametrize("raw", ["unknown", "a b"])
def test_bad_token_is_refused_and_not_passed_on_to_the_session(raw: str, signed_in: Browser) -> None:
    response = signed_in.get("/ninja/token-first", headers=bearer(raw))
    assert response.status_code == (400 if " " in raw else 401)
    assert response["WWW-Authenticate"].startswith("Bearer error=")


def test_operations_that_are_not_ours_are_refused_as_ever(db: None) -> None:
    assert get("key", **{"X-Key": "right"}).status_code == 200
    refused = get("key")
    assert (refused.status_code, refused.json()) == (401, {"detail": "Unauthorized"})
    assert "WWW-Authenticate" not in refused


def test_api_that_was_not_taught_refuses_as_well(alice: Any) -> None:
    assert Browser().get("/untaught/token").status_code == 401
    assert Browser().get("/untaught/token", headers=bearer("x")).status_code == 401
    raw = issue_access_token(alice, ["write"])
    assert Browser().get("/untaught/token", headers=bearer(raw)).status_code == 403


def test_login_required_middleware_lets_guarded_operations_answer_and_no_others(alice: Any) -> None:
    raw = issue_access_token(None, ["read"])
    with override_settings(MIDDLEWARE=[*django_settings.MIDDLEWARE, LOGIN_REQUIRED]):
        for place in ("token", "session-first", "token-first"):
            assert get(place, raw).status_code == 200
            assert get(place, "x").status_code == 401
            assert get(place).status_code == 401
        for place in ("open", "token-and-open", "key"):
            assert get(place).status_code == 302


def test_middleware_leaves_the_resource_to_the_operation(alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    AccessToken.objects.update(resource="https://testserver/tools")
    stack = ["django_pkce_auth.resource.middleware.BearerMiddleware", *django_settings.MIDDLEWARE]
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        for middleware in (stack, django_settings.MIDDLEWARE):
            with override_settings(MIDDLEWARE=middleware):
                assert get("tools", raw).status_code == 200
                assert get("token", raw).status_code == 401


def test_requests_are_counted_by_client_whatever_its_tokens(alice: Any) -> None:
    assert [get("rate", issue_access_token(alice, ["read"])).status_code for _ in range(3)] == [200, 200, 429]
    other = Client.objects.create(client_id="other", name="Other")
    assert get("rate", issue_access_token(None, ["read"], client=other)).status_code == 200


def test_request_without_a_token_is_not_counted_by_client(db: None) -> None:
    assert [get("rate-by-key", **{"X-Key": "right"}).status_code for _ in range(3)] == [200, 200, 200]


def test_ninjas_own_test_clients_reach_the_guard(alice: Any) -> None:
    headers = bearer(issue_access_token(alice, ["read"]))
    client = TestClient(tested)
    assert client.get("/sync", headers=headers).json() == {"user": "alice"}
    assert client.get("/sync").status_code == 401
    assert client.get("/sync", headers=bearer("x")).status_code == 401
    answer: Any = async_to_sync(TestAsyncClient(tested).get)("/async", headers=headers)
    assert answer.json() == {"user": "alice"}


def test_api_and_router_can_guard_all_their_operations(alice: Any) -> None:
    places = {"inherited": "read", "routed/photos": "profile"}
    with override_settings(MIDDLEWARE=[*django_settings.MIDDLEWARE, LOGIN_REQUIRED]):
        for place, scope in places.items():
            for scopes, status in (([scope], 200), (["write"], 403)):
                headers = bearer(issue_access_token(alice, scopes))
                assert Browser().get(f"/whole/{place}", headers=headers).status_code == status
            assert Browser().get(f"/whole/{place}").status_code == 401
        assert Browser().get("/whole/open").status_code == 302
    shown = Browser().get("/whole/openapi.json").json()
    for place, scope in places.items():
        assert shown["paths"][f"/whole/{place}"]["get"]["security"] == [{"BearerAuth": [scope]}]
    assert "security" not in shown["paths"]["/whole/open"]["get"]
    # This URLconf leads to no authorization server.
    assert shown["components"]["securitySchemes"]["BearerAuth"]["flows"] == {}
