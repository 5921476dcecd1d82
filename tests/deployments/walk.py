"""Both roles, walked once in a project whose settings ``DEPLOYMENT`` chose; prints what it reached."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client as Browser  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_pkce_auth.server.clients import add_secret, set_redirect_uris  # noqa: E402
from django_pkce_auth.server.live_tokens import find_live_token_with_client  # noqa: E402
from django_pkce_auth.server.models import Client, TokenFamily  # noqa: E402
from django_pkce_auth.testing import bearer_client, fake_provider  # noqa: E402
from tests.four_steps import REDIRECT_URI, App, bearer  # noqa: E402


def answered(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, (response.status_code, response.content[:2000])
    return response


def facts(user: Any) -> dict[str, Any]:
    user.refresh_from_db(fields=["last_login"])
    return {field.attname: getattr(user, field.attname) for field in user._meta.concrete_fields}


def refused_file_changes_nothing() -> None:
    """Whichever database our tables are in, the transaction around the command is there."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "clients.toml"
        file.write_text('[[client]]\nclient_id = "good"\n[[client]]\nclient_id = "bad"\nscopes = ["no-such"]\n')
        try:
            call_command("pkce_client", "apply", str(file))
        except CommandError:
            assert not Client.objects.filter(client_id="good").exists()
        else:
            raise AssertionError("a bad file was applied")


def walk() -> None:
    call_command("check", databases=[settings.OURS], verbosity=0)
    users = get_user_model()
    for name in ("first", "alice"):
        user = users._default_manager.create(**{users.USERNAME_FIELD: name})
    client = Client.objects.create(client_id="photo-app", name="Photo App", scope="read")
    set_redirect_uris(client, [REDIRECT_URI])
    app = App(client, add_secret(client, now=timezone.now()))
    browser = Browser()
    browser.force_login(user)
    answered(browser.get(app.link()))
    back = dict(parse_qsl(urlsplit(answered(browser.post(app.link(), {"decision": "approve"}), 303)["Location"]).query))
    tokens = answered(app.redeem(back["code"])).json()
    assert answered(Browser().get("/api/read", headers=bearer(tokens["access_token"]))).json()["user"] == "alice"
    known = find_live_token_with_client(tokens["access_token"], now=timezone.now())
    assert known is not None
    assert facts(known.user) == facts(user)
    renewed = answered(app.refresh(tokens["refresh_token"])).json()
    assert answered(app.post("/oauth/introspect", token=renewed["access_token"])).json()["sub"] == str(user.pk)
    answered(browser.get("/oauth/apps"))
    answered(app.redeem(back["code"]), 400)
    assert TokenFamily.objects.get().revoked_reason == "replay"
    answered(Browser().get("/api/read", headers=bearer(renewed["access_token"])), 401)
    with fake_provider() as provider:
        connection = provider.connect(browser)
        assert connection.user == user
        assert connection.access_token()
        visitor = Browser()
        provider.userinfo["sub"] = "another"
        if users.USERNAME_FIELD != "uid":
            assert provider.log_in(visitor).user != user
    answered(bearer_client(user, ["read"]).get("/api/read"))
    call_command("pkce_purge", verbosity=0)
    refused_file_changes_nothing()
    print("walked")


if __name__ == "__main__":
    creation = connections[settings.OURS].creation
    name = connections[settings.OURS].settings_dict["NAME"]
    creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        walk()
    finally:
        creation.destroy_test_db(name, verbosity=0)
