"""grant_type=client_credentials (RFC 6749 §4.4), and who acts behind such a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import AnonymousUser, Permission
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone

from django_pkce_auth.resource import require_scopes
from django_pkce_auth.server.models import Consent, RefreshToken, TokenFamily
from tests.four_steps import App, bearer
from tests.server.test_token_request import refused


@pytest.fixture
def robot(register: Callable[..., App]) -> App:
    return register(client_id="robot", grant_types="client_credentials refresh_token", default_scope="read")


def ask(app: App, **more: str) -> Any:
    return app.post(grant_type="client_credentials", **more)


def seen_by_a_view(token: str, view: Callable[..., Any] | None = None) -> tuple[HttpRequest, HttpResponse]:
    """Call a guarded view; return the request as the view saw it, and its answer."""
    seen: list[HttpRequest] = []

    def show(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return view(request) if view else HttpResponse("served")

    request = RequestFactory().get("/x", headers=bearer(token))
    response = require_scopes("read")(show)(request)
    assert seen, response.content
    return seen[0], response


def test_token_without_refresh_token_rfc6749_4_4_3(robot: App, opens: Any) -> None:
    answer = ask(robot, scope="read").json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer["scope"] == "read"
    assert opens(answer["access_token"])
    assert not RefreshToken.objects.exists()
    assert not Consent.objects.exists()
    assert TokenFamily.objects.get().user is None


def test_token_is_for_every_resource_that_was_named(robot: App, settings: Any) -> None:
    named = ["https://testserver/tools", "https://testserver/files"]
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"RESOURCES": dict.fromkeys(named, "A resource")}
    body = urlencode([("grant_type", "client_credentials"), *(("resource", each) for each in named)])
    headers = {"Authorization": robot.credentials.header()}
    form = "application/x-www-form-urlencoded"
    assert Browser().post("/oauth/token", body, content_type=form, headers=headers).status_code == 200
    assert TokenFamily.objects.get().resources == tuple(named)


def test_scope_left_out_gives_the_default(robot: App) -> None:
    assert ask(robot).json()["scope"] == "read"


def test_scope_left_out_without_a_default_is_refused(register: Callable[..., App]) -> None:
    refused(ask(register(grant_types="client_credentials")), "invalid_scope", "no default scopes")


@pytest.mark.parametrize("scope", ["admin", "read admin", '"', "READ", "read write profile extra"])
def test_scope_beyond_the_clients_is_refused(robot: App, scope: str) -> None:
    refused(ask(robot, scope=scope), "invalid_scope")
    assert not TokenFamily.objects.exists()


def test_scope_that_left_the_settings_is_refused(robot: App, settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": {"write": "Change"}}
    refused(ask(robot, scope="read"), "invalid_scope")
    refused(ask(robot), "invalid_scope")


def test_public_client_is_refused_rfc6749_4_4(register: Callable[..., App]) -> None:
    phone = register(client_id="phone", public=True, grant_types="client_credentials")
    refused(ask(phone, scope="read"), "unauthorized_client", "public client")


def test_client_that_is_not_registered_for_it_is_refused(app: App) -> None:
    refused(ask(app, scope="read"), "unauthorized_client", "client_credentials")


def test_client_with_a_wrong_secret_or_none_is_refused(robot: App) -> None:
    robot.secret = "pkce_cs_" + "x" * 43
    refused(ask(robot), "invalid_client", status=401)
    robot.secret = None
    refused(ask(robot), "invalid_client", status=401)


def test_client_disabled_is_refused(robot: App) -> None:
    robot.client.disabled_at = timezone.now()
    robot.client.save()
    refused(ask(robot), "invalid_client", status=401)


def test_username_and_password_are_not_read(robot: App, alice: Any) -> None:
    token = ask(robot, username="alice", password="wonderland").json()["access_token"]
    assert Browser().get("/api/read", headers=bearer(token)).json()["user"] == ""


class TestWhoActs:
    """``request.oauth`` is always set, and ``request.user`` is never None."""

    def test_without_a_service_user(self, robot: App) -> None:
        request, response = seen_by_a_view(ask(robot).json()["access_token"])
        assert response.status_code == 200
        assert request.oauth.client == robot.client  # type: ignore[attr-defined]
        assert request.oauth.scopes == ("read",)  # type: ignore[attr-defined]
        assert request.oauth.user is None  # type: ignore[attr-defined]
        assert isinstance(request.user, AnonymousUser)

    def test_with_a_service_user(self, robot: App, alice: Any) -> None:
        robot.client.service_user = alice
        robot.client.save()
        request, response = seen_by_a_view(ask(robot).json()["access_token"])
        assert response.status_code == 200
        assert request.oauth.user is None  # type: ignore[attr-defined]
        assert request.user == alice

    def test_token_of_a_person_is_that_persons_whatever_the_service_user(
        self, app: App, tokens: dict[str, Any], alice: Any, django_user_model: Any
    ) -> None:
        app.client.service_user = django_user_model.objects.create_user(username="service")
        app.client.save()
        request, _ = seen_by_a_view(tokens["access_token"])
        assert request.user == alice
        assert request.oauth.user == alice  # type: ignore[attr-defined]

    def test_djangos_own_guards_behind_it(self, robot: App, alice: Any) -> None:
        token = ask(robot).json()["access_token"]

        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse("served")

        for guard in (login_required, permission_required("auth.view_user")):
            assert seen_by_a_view(token, guard(view))[1].status_code == 302
        robot.client.service_user = alice
        robot.client.save()
        assert seen_by_a_view(token, login_required(view))[1].content == b"served"
        assert seen_by_a_view(token, permission_required("auth.view_user")(view))[1].status_code == 302
        alice.user_permissions.add(Permission.objects.get(codename="view_user"))
        assert seen_by_a_view(token, permission_required("auth.view_user")(view))[1].content == b"served"

    def test_session_cookie_beside_the_token_changes_nobody(self, robot: App, signed_in: Browser) -> None:
        token = ask(robot).json()["access_token"]
        assert signed_in.get("/api/read", headers=bearer(token)).json()["user"] == ""
        assert signed_in.get("/api/async", headers=bearer(token)).json()["user"] == ""
