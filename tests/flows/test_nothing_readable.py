"""After every flow, no code, token, verifier or client secret stands readable in any table, page, log line or repr."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from django_pkce_auth import conf
from django_pkce_auth.client.models import Connection
from tests.flows.both_roles import CALLBACK, BothRolesPolicy, InProcess, parameter, path_of, provider
from tests.four_steps import VERIFIER, App, approve, bearer


def tables() -> str:
    """Return every column of every table as the database holds it, and what the sessions decode to."""
    lines: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            for row in cursor.fetchall():
                for value in row:
                    raw = bytes(value) if isinstance(value, memoryview | bytearray) else value
                    lines.append(raw.decode("latin-1") if isinstance(raw, bytes) else str(raw))
    lines += [str(session.get_decoded()) for session in Session.objects.all()]
    return "\n".join(lines)


def reprs() -> str:
    objects = [row for model in apps.get_app_config("pkce_auth").get_models() for row in model.objects.all()]
    return "\n".join(f"{row!r} {row!s}" for row in objects) + repr(conf.settings())


def admin_pages(browser: Browser) -> str:
    """Return every page that the admin has of this app: lists, forms, histories."""
    pages = [reverse("admin:index"), reverse("admin:app_list", args=["pkce_auth"])]
    for model in admin.site._registry:
        if model._meta.app_label == "pkce_auth":
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            pages.append(reverse(f"{name}_changelist"))
            for row in model.objects.all():
                pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    texts = []
    for page in pages:
        response = browser.get(page)
        assert response.status_code in (200, 302, 403), page
        texts.append(response.content.decode())
    return "\n".join(texts)


class Everything:
    """What was secret, and every place that was looked at; ``look`` takes one more look at all of them."""

    def __init__(self, caplog: pytest.LogCaptureFixture, root: Browser) -> None:
        self.secrets: set[str] = {VERIFIER}
        self.places: dict[str, str] = {}
        self._caplog, self._root = caplog, root

    def look(self, when: str) -> None:
        fixture = StringIO()
        call_command("dumpdata", stdout=fixture)
        listed = StringIO()
        call_command("pkce_client", "list", stdout=listed)
        records = [f"{record.getMessage()} {record.__dict__}" for record in self._caplog.records]
        looked = {
            "tables": tables(),
            "dumpdata": fixture.getvalue(),
            "admin": admin_pages(self._root),
            "reprs": reprs(),
            "pkce_client list": listed.getvalue(),
            "log": "\n".join(records),
        }
        self.places |= {f"{place} {when}": text for place, text in looked.items()}

    def check(self) -> None:
        assert len(self.secrets) > 4
        assert all(len(secret) >= 32 for secret in self.secrets)
        for place, text in self.places.items():
            for secret in self.secrets:
                for form in (secret, secret.encode().hex()):
                    position = text.find(form)
                    assert position < 0, f"{place}: …{text[max(0, position - 200) : position]}<here>"


@pytest.fixture
def everything(
    caplog: pytest.LogCaptureFixture, django_user_model: Any, settings: Any, db: None
) -> Iterator[Everything]:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}
    root = Browser()
    root.force_login(django_user_model.objects.create_superuser(username="root"))
    caplog.set_level(logging.DEBUG)
    connection.force_debug_cursor = True  # so that the log has each statement with its parameters
    yield Everything(caplog, root)
    connection.force_debug_cursor = False


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_server_role_leaves_no_secret_readable(
    everything: Everything, register: Callable[..., App], signed_in: Browser, public: bool
) -> None:
    app = register(public=public)
    everything.secrets |= {app.secret} if app.secret else set()
    code = approve(signed_in, app.link())["code"]
    everything.secrets.add(code)
    everything.look("with a code to redeem")
    tokens = app.redeem(code).json()
    renewed = app.refresh(tokens["refresh_token"]).json()
    Browser().get("/api/read", headers=bearer(renewed["access_token"]))
    everything.secrets |= {given[name] for given in (tokens, renewed) for name in ("access_token", "refresh_token")}
    everything.look("with tokens")
    for mistake in ({"code_verifier": "x" * 43}, {"redirect_uri": "https://evil.example/"}, {}):
        assert app.redeem(code, **mistake).status_code == 400
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    app.secret = (app.secret or "") + "wrong-by-a-little"
    assert app.redeem(code).status_code == 401
    Browser().get("/api/read", headers=bearer(renewed["access_token"]))
    everything.look("after refusals and a replay")
    everything.places["cookies"] = str(signed_in.cookies)
    everything.check()


@pytest.fixture
def both(app: App, settings: Any, everything: Everything) -> InProcess:
    """This project connected to itself as a provider; every secret that passes between the roles is kept."""
    app.client.redirect_uris.create(uri=CALLBACK)
    assert app.secret
    settings.ROOT_URLCONF = "tests.flows.both_roles"
    settings.PKCE_AUTH = settings.PKCE_AUTH | {
        "PROVIDERS": {"self": provider(app.client.client_id, app.secret)},
        "CLIENT_POLICY": "tests.flows.both_roles.BothRolesPolicy",
    }
    BothRolesPolicy.current = InProcess({app.secret})
    return BothRolesPolicy.current


@pytest.mark.parametrize("purpose", ["connect", "log in"])
def test_client_role_leaves_no_secret_readable(
    everything: Everything, both: InProcess, signed_in: Browser, alice: Any, purpose: str
) -> None:
    visitor = signed_in if purpose == "connect" else Browser()
    start = visitor.post("/connect/self/" + ("" if purpose == "connect" else "login/"), secure=True)
    assert start.status_code == 303, start.content
    everything.secrets.add(parameter(start["Location"], "state"))
    everything.look("with an attempt under way")
    approved = signed_in.post(path_of(start["Location"]), {"decision": "approve"}, secure=True)
    everything.look("with an answer on its way")
    back = visitor.get(path_of(approved["Location"]), secure=True)
    assert back.status_code == 302, back.content
    made = Connection.objects.get()
    everything.look("with a connection")
    Connection.objects.update(access_token_expires_at=made.created_at)
    made.refresh_from_db()
    token = made.access_token()
    assert Browser().get("/api/read", headers=bearer(token)).json()["user"] == "alice"
    pages = [visitor.get(page, secure=True).content.decode() for page in ("/connect/", "/connect/self/")]
    everything.look("after a refresh")
    everything.places |= {
        "pages": "\n".join(pages),
        "cookies": f"{visitor.cookies} {signed_in.cookies}",
        "the connection's repr": repr(made),
    }
    everything.secrets |= both.seen
    assert {secret[:8] for secret in both.seen} >= {"pkce_ac_", "pkce_at_", "pkce_rt_", "pkce_cs_"}
    everything.check()


@pytest.mark.leaks_on_purpose
def test_the_look_would_find_a_secret(everything: Everything, app: App) -> None:
    """The test above is worth something: a secret in a column, in hexadecimal too, or in a log line is found."""
    assert app.secret
    everything.secrets |= {app.secret, *(str(n) * 32 for n in range(5))}
    app.client.metadata = {"note": app.secret.encode().hex()}
    app.client.save()
    logging.getLogger("django_pkce_auth.server").info("made", extra={"event": "x", "what": app.secret})
    everything.look("now")
    assert app.secret.encode().hex() in everything.places["tables now"]
    assert app.secret in everything.places["log now"]
    with pytest.raises(AssertionError, match="<here>"):
        everything.check()
