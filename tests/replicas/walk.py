"""Every end and every beginning of access while reads go to a replica that lags; prints each scene that held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client as Browser  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_pkce_auth.client.models import Connection  # noqa: E402
from django_pkce_auth.server.clients import add_secret, set_redirect_uris  # noqa: E402
from django_pkce_auth.server.models import Client, ClientSecret, Consent, TokenFamily  # noqa: E402
from django_pkce_auth.testing import fake_provider  # noqa: E402
from tests.four_steps import REDIRECT_URI, App, bearer  # noqa: E402
from tests.replicas import lag  # noqa: E402

SCOPES = ("read", "profile")
GUARDED = ("function", "async-function", "mixin", "async-mixin", "drf", "ninja/sync", "ninja/async")


class Stage:
    """A user, an administrator and a client, whom the replica knows."""

    def __init__(self) -> None:
        users = get_user_model().objects
        self.user: Any = users.create_user(username="alice")
        self.root: Any = users.create_superuser(username="root")
        device = "urn:ietf:params:oauth:grant-type:device_code"
        client = Client.objects.using(lag.PRIMARY).create(
            client_id="photo-app",
            name="Photo App",
            scope="read write profile",
            grant_types=f"authorization_code refresh_token {device}",
        )
        set_redirect_uris(client, [REDIRECT_URI])
        self.app = App(client, add_secret(client, now=timezone.now()))
        self.browser, self.admin = Browser(), Browser()
        self.browser.force_login(self.user)
        self.admin.force_login(self.root)

    def forget(self) -> None:
        for model in (TokenFamily, Consent, Connection):
            model._default_manager.using(lag.PRIMARY).all().delete()
        Client.objects.using(lag.PRIMARY).update(disabled_at=None)
        get_user_model().objects.using(lag.PRIMARY).update(is_active=True)

    def approve(self) -> str:
        answer = self.browser.post(self.app.link(scopes=SCOPES), {"decision": "approve"})
        return dict(parse_qsl(urlsplit(answered(answer, 303)["Location"]).query))["code"]

    def asks(self) -> bool:
        return bool(self.browser.get(self.app.link(scopes=SCOPES)).status_code == 200)

    def tokens(self) -> dict[str, Any]:
        tokens: dict[str, Any] = answered(self.app.redeem(self.approve())).json()
        return tokens

    def works(self, tokens: dict[str, Any]) -> bool:
        """Whether the tokens work, at every guard and endpoint alike."""
        opened = {path: self._opens(f"/guarded/{path}", tokens) for path in GUARDED} | {
            "introspection": self.app.post("/oauth/introspect", token=tokens["access_token"]).json()["active"],
            "introspection of the other": self.app.post("/oauth/introspect", token=tokens["refresh_token"]).json()[
                "active"
            ],
        }
        assert len(set(opened.values())) == 1, opened
        return opened["function"]

    def _opens(self, path: str, tokens: dict[str, Any]) -> bool:
        status = Browser().get(path, headers=bearer(tokens["access_token"])).status_code
        assert status in (200, 401), (path, status)
        return bool(status == 200)


def answered(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, (response.status_code, response.content[:2000])
    return response


def token_that_was_just_issued_works(stage: Stage) -> None:
    tokens = stage.tokens()
    assert stage.works(tokens)
    assert stage.works(answered(stage.app.refresh(tokens["refresh_token"])).json())


def family_that_was_just_revoked_does_not(stage: Stage) -> None:
    def by_the_client(tokens: dict[str, Any]) -> None:
        answered(stage.app.post("/oauth/revoke", token=tokens["access_token"]))

    def by_the_user(tokens: dict[str, Any]) -> None:
        answered(stage.browser.post("/oauth/apps", {"client_id": "photo-app"}), 302)

    def by_an_administrator(tokens: dict[str, Any]) -> None:
        chosen = {"action": "revoke", "_selected_action": [TokenFamily.objects.using(lag.PRIMARY).get().pk]}
        answered(stage.admin.post("/admin/pkce_auth/tokenfamily/", chosen), 302)

    def by_a_second_refresh(tokens: dict[str, Any]) -> None:
        onward = answered(stage.app.refresh(tokens["refresh_token"])).json()
        answered(stage.app.refresh(onward["refresh_token"]))
        answered(stage.app.refresh(tokens["refresh_token"]), 400)

    def by_disabling_the_client(tokens: dict[str, Any]) -> None:
        Client.objects.using(lag.PRIMARY).update(disabled_at=timezone.now())

    def by_deactivating_the_user(tokens: dict[str, Any]) -> None:
        get_user_model().objects.using(lag.PRIMARY).filter(pk=stage.user.pk).update(is_active=False)

    for end in (by_the_client, by_the_user, by_an_administrator, by_a_second_refresh, by_deactivating_the_user):
        stage.forget()
        tokens = stage.tokens()
        lag.catch_up()  # the replica knows the family, and that it is alive
        assert stage.works(tokens), end.__name__
        end(tokens)
        assert not stage.works(tokens), end.__name__
        answered(stage.app.refresh(tokens["refresh_token"]), 400)
    stage.forget()
    tokens = stage.tokens()
    lag.catch_up()
    by_disabling_the_client(tokens)
    answered(stage.app.refresh(tokens["refresh_token"]), 401)
    assert not stage._opens("/guarded/function", tokens)


def cached_token_ends_with_its_family(stage: Stage) -> None:
    from django.conf import settings

    with override_settings(PKCE_AUTH=settings.PKCE_AUTH | {"TOKEN_CACHE_LIFETIME": 60}):
        tokens = stage.tokens()
        lag.catch_up()
        assert stage._opens("/guarded/function", tokens)
        chosen = {"action": "revoke", "_selected_action": [TokenFamily.objects.using(lag.PRIMARY).get().pk]}
        answered(stage.admin.post("/admin/pkce_auth/tokenfamily/", chosen), 302)
        assert not stage._opens("/guarded/function", tokens)


def consent_counts_from_the_moment_it_is_given_to_that_of_its_withdrawal(stage: Stage) -> None:
    assert stage.asks()
    stage.approve()
    assert not stage.asks()
    lag.catch_up()
    consent = Consent.objects.using(lag.PRIMARY).get()
    answered(stage.admin.post(f"/admin/pkce_auth/consent/{consent.pk}/delete/", {"post": "yes"}), 302)
    assert stage.asks()


def page_of_apps_shows_what_is(stage: Stage) -> None:
    def shown() -> bool:
        return "Photo App" in answered(stage.browser.get("/oauth/apps")).content.decode()

    assert not shown()
    stage.approve()
    assert shown()
    answered(stage.browser.get("/oauth/apps?revoke=photo-app"))
    lag.catch_up()
    answered(stage.browser.post("/oauth/apps", {"client_id": "photo-app"}), 302)
    assert not shown()
    answered(stage.browser.get("/oauth/apps?revoke=photo-app"), 404)


def device_gets_its_token(stage: Stage) -> None:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    begun = answered(stage.app.post("/oauth/device_authorization", scope="read profile")).json()
    poll = {"grant_type": grant, "device_code": begun["device_code"]}
    assert answered(stage.app.post(**poll), 400).json()["error"] == "authorization_pending"
    form = {"user_code": begun["user_code"]}
    answered(stage.browser.post("/oauth/device", form))
    answered(stage.browser.post("/oauth/device", form | {"decision": "approve"}))
    assert stage.works(answered(stage.app.post(**poll)).json())
    assert Consent.objects.using(lag.PRIMARY).get().scopes == SCOPES


def secret_counts_from_the_moment_it_is_made_to_that_of_its_removal(stage: Stage) -> None:
    old = ClientSecret.objects.using(lag.PRIMARY).get()
    raw = add_secret(stage.app.client, now=timezone.now())
    newer = App(stage.app.client, raw)
    assert answered(newer.post("/oauth/introspect", token="x")).json() == {"active": False}
    old.delete(using=lag.PRIMARY)
    answered(stage.app.post("/oauth/introspect", token="x"), 401)
    stage.app = newer


def client_is_what_was_registered_last(stage: Stage) -> None:
    set_redirect_uris(stage.app.client, ["https://app.example/new"])
    set_redirect_uris(stage.app.client, [REDIRECT_URI])
    assert stage.asks()
    registered = list(stage.app.client.redirect_uris.using(lag.PRIMARY).values_list("uri", flat=True))
    assert registered == [REDIRECT_URI]
    create = ("pkce_client", "create", "Other", "--client-id", "other", "--redirect-uri", REDIRECT_URI)
    call_command(*create, stdout=StringIO())
    lag.catch_up()
    Client.objects.using(lag.PRIMARY).filter(client_id="other").delete()
    call_command(*create, stdout=StringIO())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "clients.toml"
        file.write_text(f'[[client]]\nclient_id = "new"\nscopes = ["read"]\nredirect_uris = ["{REDIRECT_URI}"]\n')
        said = [StringIO(), StringIO()]
        for each in said:
            call_command("pkce_client", "apply", str(file), stdout=each)
        assert "nothing was changed" in said[1].getvalue(), said[1].getvalue()


def account_is_connected_and_disconnected(stage: Stage) -> None:
    def shown() -> bool:
        return "Fay Ke" in answered(stage.browser.get("/connect/")).content.decode()

    with fake_provider() as provider:
        assert not shown()
        connection = provider.connect(stage.browser)
        assert shown()
        lag.catch_up()
        provider.connect(stage.browser)
        assert Connection.objects.using(lag.PRIMARY).count() == 1
        Connection.objects.using(lag.PRIMARY).update(access_token_expires_at=timezone.now() - timedelta(minutes=1))
        raw = Connection.objects.using(lag.PRIMARY).get().access_token()
        # A program that reads what the replica knows gets the token of now, and asks nobody for another one.
        stale = Connection.objects.using(lag.REPLICA).get()
        Connection.objects.using(lag.REPLICA).update(access_token_expires_at=timezone.now() - timedelta(minutes=1))
        stale.refresh_from_db(using=lag.REPLICA)
        asked = len(provider.requests)
        assert stale.access_token() == raw
        assert len(provider.requests) == asked
        answered(stage.browser.post("/connect/", {"connection": connection.pk}), 302)
        assert not shown()
        visitor = Browser()
        provider.userinfo["sub"] = "another"
        assert provider.log_in(visitor).user_id not in (None, stage.user.pk)


SCENES: tuple[Callable[[Stage], None], ...] = (
    token_that_was_just_issued_works,
    family_that_was_just_revoked_does_not,
    cached_token_ends_with_its_family,
    consent_counts_from_the_moment_it_is_given_to_that_of_its_withdrawal,
    page_of_apps_shows_what_is,
    device_gets_its_token,
    secret_counts_from_the_moment_it_is_made_to_that_of_its_removal,
    client_is_what_was_registered_last,
    account_is_connected_and_disconnected,
)


def main() -> None:
    lag.make_empty()
    call_command("migrate", verbosity=0)
    stage = Stage()
    try:
        for scene in SCENES:
            stage.forget()
            lag.catch_up()
            scene(stage)
            print(scene.__name__, flush=True)
    finally:
        lag.remove()


if __name__ == "__main__":
    main()
