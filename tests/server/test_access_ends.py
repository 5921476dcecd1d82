"""Who or what ends access, and that it then ends everywhere at once: one table, one row for each way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, override_settings
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server.models import AccessToken, Client, Consent, TokenFamily
from django_pkce_auth.server.revoke import revoke_family
from tests.four_steps import App, approve, bearer


class World:
    """Alice, the app that she gave access to, a resource server, and a client that has nothing to do with it."""

    def __init__(self, app: App, api: App, stranger: App, alice: Any, browser: Browser) -> None:
        self.app, self.api, self.stranger, self.alice, self.browser = app, api, stranger, alice, browser
        first = app.redeem(approve(browser, app.link())["code"]).json()
        # The access token is of the first generation and the refresh token of the second: the row covers both.
        self.access_token = first["access_token"]
        self.refresh_token = app.refresh(first["refresh_token"]).json()["refresh_token"]

    def user_is_deactivated(self) -> None:
        self.alice.is_active = False
        self.alice.save()

    def user_is_deleted(self) -> None:
        self.alice.delete()

    def client_is_disabled(self) -> None:
        client = Client.objects.get(pk=self.app.client.pk)
        client.disabled_at = timezone.now()
        client.save()

    def client_is_deleted(self) -> None:
        Client.objects.get(pk=self.app.client.pk).delete()

    def user_removes_the_app_on_the_page(self) -> None:
        answer = self.browser.post("/oauth/apps", {"client_id": self.app.client.client_id})
        assert answer.status_code == 302
        assert not Consent.objects.exists()

    def administrator_revokes(self) -> None:
        (family,) = TokenFamily.objects.all()
        assert revoke_family(family.pk, reason=TokenFamily.Reason.ADMIN, now=timezone.now(), using="default")

    def client_revokes_the_access_token_rfc7009(self) -> None:
        assert self.app.post("/oauth/revoke", token=self.access_token).status_code == 200

    def client_revokes_the_refresh_token_rfc7009(self) -> None:
        assert self.app.post("/oauth/revoke", token=self.refresh_token).status_code == 200

    def another_client_tries_to_revoke(self) -> None:
        for token in (self.access_token, self.refresh_token):
            assert self.stranger.post("/oauth/revoke", token=token).status_code == 400

    def another_client_is_disabled(self) -> None:
        Client.objects.filter(pk=self.stranger.client.pk).update(disabled_at=timezone.now())

    def another_user_is_deactivated(self) -> None:
        type(self.alice).objects.create_user(username="bob", is_active=False)

    def user_changes_the_password(self) -> None:
        """Ends the sessions, as Django does, and no app's access: that was given by consent, and ends on its page."""
        self.alice.set_password("looking-glass")
        self.alice.save()
        assert self.browser.get("/oauth/apps").status_code == 302

    def user_signs_out(self) -> None:
        self.browser.logout()


ENDS = {
    "user_is_deactivated": "invalid_grant",
    "user_is_deleted": "invalid_grant",
    "client_is_disabled": "invalid_client",
    "client_is_deleted": "invalid_client",
    "user_removes_the_app_on_the_page": "invalid_grant",
    "administrator_revokes": "invalid_grant",
    "client_revokes_the_access_token_rfc7009": "invalid_grant",
    "client_revokes_the_refresh_token_rfc7009": "invalid_grant",
}
STAYS = (
    "another_client_tries_to_revoke",
    "another_client_is_disabled",
    "another_user_is_deactivated",
    "user_changes_the_password",
    "user_signs_out",
)
ROWS = [*ENDS.items(), *((name, None) for name in STAYS)]


@pytest.fixture(params=["confidential", "public"])
def world(
    request: pytest.FixtureRequest, register: Callable[..., App], app: App, public_app: App, alice: Any, signed_in: Any
) -> World:
    api = register(client_id="api", introspects=Client.Introspects.ALL)
    either = app if request.param == "confidential" else public_app
    return World(either, api, register(client_id="stranger"), alice, signed_in)


def in_table(test: Any) -> Any:
    return pytest.mark.parametrize(("what", "error"), ROWS, ids=[name for name, _ in ROWS])(test)


@in_table
def test_access_token_at_a_sync_view(world: World, what: str, error: str | None) -> None:
    assert Browser().get("/api/read", headers=bearer(world.access_token)).status_code == 200
    getattr(world, what)()
    response = Browser().get("/api/read", headers=bearer(world.access_token))
    if error is None:
        assert response.status_code == 200
    else:
        assert response.status_code == 401
        assert 'error="invalid_token"' in response["WWW-Authenticate"]


@in_table
@pytest.mark.parametrize("client", ["async", "sync"])
def test_access_token_at_an_async_view(world: World, what: str, error: str | None, client: str) -> None:
    get: Any = Browser().get if client == "sync" else async_to_sync(AsyncClient().get)
    assert get("/api/async", headers=bearer(world.access_token)).status_code == 200
    getattr(world, what)()
    response = get("/api/async", headers=bearer(world.access_token))
    assert response.status_code == (200 if error is None else 401)


@in_table
@pytest.mark.parametrize("lifetime", [None, 60], ids=["no cache", "cache"])
@pytest.mark.parametrize("guard", ["drf", "ninja/sync", "ninja/async", "mixin"])
def test_access_token_at_every_framework(
    world: World,
    what: str,
    error: str | None,
    guard: str,
    lifetime: int | None,
    settings: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "TOKEN_CACHE_LIFETIME": lifetime}
    AccessToken.objects.update(scope="read profile")
    with override_settings(ROOT_URLCONF="tests.resource.guarded"):
        assert Browser().get(f"/guarded/{guard}", headers=bearer(world.access_token)).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        getattr(world, what)()
    with override_settings(ROOT_URLCONF="tests.resource.guarded"):
        response = Browser().get(f"/guarded/{guard}", headers=bearer(world.access_token))
    assert response.status_code == (200 if error is None else 401)


@in_table
def test_refresh(world: World, what: str, error: str | None) -> None:
    getattr(world, what)()
    response: Any = world.app.refresh(world.refresh_token)
    if error is None:
        assert response.status_code == 200
    else:
        assert response.status_code == (401 if error == "invalid_client" else 400)
        assert response.json()["error"] == error
        assert TokenFamily.objects.filter(revoked_reason=TokenFamily.Reason.REUSE).count() == 0


@in_table
def test_introspection_by_a_resource_server(world: World, what: str, error: str | None) -> None:
    getattr(world, what)()
    response: Any = world.api.post("/oauth/introspect", token=world.access_token)
    assert response.status_code == 200
    assert response.json()["active"] is (error is None)
    assert error is None or response.json() == {"active": False}


@in_table
def test_introspection_of_the_refresh_token_by_its_client(world: World, what: str, error: str | None) -> None:
    getattr(world, what)()
    response: Any = world.app.post("/oauth/introspect", token=world.refresh_token)
    # A public client may ask about nothing.
    assert response.json().get("active", False) is (error is None and world.app.secret is not None)


@in_table
def test_code_that_was_waiting(world: World, what: str, error: str | None) -> None:
    """Revoking one family says nothing about another that the user allows; all else ends the code as well."""
    code = approve(world.browser, world.app.link())["code"]
    getattr(world, what)()
    response: Any = world.app.redeem(code)
    only_the_family = what.startswith(("administrator", "client_revokes"))
    if error is None or only_the_family:
        assert response.status_code == 200
    else:
        assert response.json()["error"] == error


def test_user_activated_again_has_access_again(world: World) -> None:
    world.user_is_deactivated()
    world.alice.is_active = True
    world.alice.save()
    assert Browser().get("/api/read", headers=bearer(world.access_token)).status_code == 200


class TestServiceUser:
    """A client that acts for itself as a user of the project: its access hangs on both."""

    @pytest.fixture
    def robot(self, register: Callable[..., App], alice: Any) -> App:
        return register(client_id="robot", grant_types="client_credentials", service_user=alice)

    @pytest.fixture
    def token(self, robot: App) -> str:
        answer: Any = robot.post(grant_type="client_credentials", scope="read")
        return str(answer.json()["access_token"])

    @pytest.mark.parametrize("what", ["deactivated", "client disabled", "client deleted"])
    def test_access_and_introspection_end(
        self, robot: App, token: str, alice: Any, opens: Any, register: Any, what: str
    ) -> None:
        api = register(client_id="api", introspects=Client.Introspects.ALL)
        assert opens(token)
        if what == "deactivated":
            alice.is_active = False
            alice.save()
        elif what == "client disabled":
            Client.objects.filter(pk=robot.client.pk).update(disabled_at=timezone.now())
        else:
            Client.objects.get(pk=robot.client.pk).delete()
        assert not opens(token)
        assert api.post("/oauth/introspect", token=token).json() == {"active": False}

    def test_deleted_service_user_leaves_a_client_without_one(self, token: str, alice: Any) -> None:
        alice.delete()
        response = Browser().get("/api/read", headers=bearer(token))
        assert response.json()["user"] == ""
