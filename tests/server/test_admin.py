"""Clients in Django admin: registered, changed, disabled, and their secrets shown once."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from django_pkce_auth.secrets import digest
from django_pkce_auth.server.models import Client, ClientSecret
from tests.four_steps import App, approve, bearer

ADD = "/admin/pkce_auth/client/add/"
LIST = "/admin/pkce_auth/client/"
SECRET = re.compile(r"pkce_cs_[A-Za-z0-9_-]{43}")
FORM = {
    "name": "Photo Print",
    "client_id": "print-app",
    "type": "confidential",
    "redirect_uris": "https://print.example/callback\r\n\r\n  https://print.example/other  \n",
    "scopes_allowed": ["read", "write"],
    "scopes_default": ["read"],
    "grants": ["authorization_code"],
    "introspects": "own",
    "token_format": "opaque",
    "rotates_refresh_tokens": "on",
    "metadata": "{}",
}


@pytest.fixture
def root(django_user_model: Any, db: None) -> Browser:
    browser = Browser()
    browser.force_login(django_user_model.objects.create_superuser(username="root"))
    return browser


@pytest.fixture
def staff(django_user_model: Any, db: None) -> Any:
    """A browser of staff with the named permissions on clients."""

    def make(*permissions: str) -> Browser:
        user = django_user_model.objects.create_user(username="staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=[f"{name}_client" for name in permissions]))
        browser = Browser()
        browser.force_login(user)
        return browser

    return make


def change_page(client: Client, *more: str) -> str:
    return "/".join([f"/admin/pkce_auth/client/{client.pk}", *(more or ("change",)), ""])


def errors_at(response: Any, field: str) -> str:
    """Return the errors that stand next to a field, and nowhere else."""
    assert response.status_code == 200
    row = BeautifulSoup(response.content, "html.parser").select_one(f".field-{field}")
    assert row is not None
    return " ".join(item.get_text(" ", strip=True) for item in row.select(".errorlist"))


def filled_in(browser: Browser, url: str) -> dict[str, Any]:
    """Return what a browser would post back of the form as it stands."""
    page = BeautifulSoup(browser.get(url).content, "html.parser")
    fields: dict[str, Any] = {}
    for field in page.select("#client_form [name]"):
        name, kind = str(field["name"]), field.get("type")
        if field.name == "textarea":
            fields[name] = field.get_text().removeprefix("\n")
        elif field.name == "select":
            chosen = field.select_one("option[selected]")
            fields[name] = chosen["value"] if chosen else ""
        elif kind == "checkbox":
            if field.has_attr("checked"):
                fields.setdefault(name, []).append(field.get("value", "on"))
        elif kind != "submit":
            fields[name] = field.get("value", "")
    return fields


def test_confidential_client_is_registered_and_its_secret_works(root: Browser, signed_in: Browser) -> None:
    response = root.post(ADD, FORM)
    assert response.status_code == 200
    (secret,) = SECRET.findall(response.content.decode())
    client = Client.objects.get(client_id="print-app")
    assert client.registered_by.username == "root"
    assert client.scopes == ("read", "write")
    assert client.default_scopes == ("read",)
    uris = sorted(row.uri for row in client.redirect_uris.all())
    assert uris == ["https://print.example/callback", "https://print.example/other"]
    app = App(client, secret)
    code = approve(signed_in, app.link(redirect_uri=uris[0]))["code"]
    assert app.redeem(code, redirect_uri=uris[0]).status_code == 200


def test_secret_is_in_one_response_and_nowhere_else(root: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "django.template")
    response = root.post(ADD, FORM)
    (secret,) = SECRET.findall(response.content.decode())
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "no-referrer"
    client = Client.objects.get()
    for page in (
        LIST,
        change_page(client),
        change_page(client, "history"),
        change_page(client, "add-secret"),
        "/admin/",
    ):
        shown = root.get(page).content.decode()
        assert not SECRET.search(shown)
        assert secret not in shown
    for text in (str(list(LogEntry.objects.values())), str([row.get_decoded() for row in Session.objects.all()])):
        assert secret not in text
    assert secret not in str(root.cookies)
    assert "<a client secret>" in caplog.text
    assert secret not in caplog.text


def test_secret_is_not_shown_again_on_reload_but_another_is_made(root: Browser) -> None:
    root.post(ADD, FORM)
    again = root.post(ADD, FORM)
    assert "already exists" in errors_at(again, "client_id")
    assert ClientSecret.objects.count() == 1


def test_public_client_has_no_secret(root: Browser) -> None:
    response = root.post(ADD, {**FORM, "type": "public"}, follow=True)
    assert response.status_code == 200
    assert not SECRET.search(response.content.decode())
    client = Client.objects.get()
    assert not client.secrets.exists()
    assert "Add secret" not in root.get(change_page(client)).content.decode()
    assert root.post(change_page(client, "add-secret")).status_code == 403
    assert not ClientSecret.objects.exists()


def test_client_id_is_generated_where_none_is_chosen(root: Browser) -> None:
    offered = {filled_in(root, ADD)["client_id"] for _ in range(2)}
    assert len(offered) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", client_id) for client_id in offered)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("redirect_uris", "http://print.example/callback", "http://print.example/callback: http:// is accepted for"),
        ("redirect_uris", "https://ok.example/cb\nhttps://*.example/cb", "https://*.example/cb: Wildcards"),
        ("redirect_uris", "https://print.example/#x", "fragment"),
        ("redirect_uris", "javascript:alert(1)", "private-use scheme must be a domain name"),
        ("redirect_uris", "com.example.app:/callback", "make it public"),
        ("redirect_uris", "/callback", "absolute"),
        ("redirect_uris", "https://print.example/" + "x" * 2000, "1 to 2000 characters"),
        ("scopes_allowed", ["fly"], "fly is not one of the available choices"),
        ("scopes_default", ["profile"], "profile is not among the allowed scopes"),
        ("client_id", "print app", "without spaces and colons"),
        ("client_id", "print:app", "without spaces and colons"),
        ("client_id", "dr\u00fccken", "without spaces and colons"),
        ("client_id", "x" * 201, "at most 200 characters"),
        ("client_id", "31", "key of a user"),
        ("client_uri", "javascript:alert(1)", "valid URL"),
        ("policy_uri", "http://print.example/policy", "valid URL"),
        ("name", "", "required"),
        ("type", "secret", "not one of the available choices"),
        ("metadata", "[1]", "a JSON object"),
        ("metadata", "0", "a JSON object"),
        ("metadata", '{"share": NaN}', "a JSON object"),
        ("metadata", '{"team": "\\u0000"}', "a JSON object"),
        ("metadata", '{"team": "\\\\\\u0000"}', "a JSON object"),
        ("metadata", '{"share": 1e999}', "a JSON object"),
        ("metadata", '{"share": ' + "9" * 5000 + "}", "a JSON object"),
        ("metadata", '{"team": "\\ud800"}', "a JSON object"),
        ("metadata", '{"\\udc00": 1}', "a JSON object"),
        ("metadata", "[" * 100_000, "a JSON object"),
        ("metadata", '{"a":' * 32 + "1" + "}" * 32, "31 levels"),
        ("metadata", '{"a":' + "[" * 31 + "]" * 31 + "}", "31 levels"),
    ],
)
def test_mistake_is_explained_next_to_its_field(root: Browser, field: str, value: Any, words: str) -> None:
    response = root.post(ADD, {**FORM, field: value})
    assert words in errors_at(response, field)
    assert not Client.objects.exists()
    assert not SECRET.search(response.content.decode())


@pytest.mark.parametrize("emptied", ["", "null", "{}"])
def test_metadata_may_be_emptied(root: Browser, app: App, emptied: str) -> None:
    Client.objects.filter(pk=app.client.pk).update(metadata={"tier": "gold"})
    url = change_page(app.client)
    assert root.post(url, {**filled_in(root, url), "metadata": emptied}).status_code == 302
    app.client.refresh_from_db()
    assert app.client.metadata == {}


def test_metadata_may_be_as_deep_as_every_database_takes_it(root: Browser) -> None:
    root.post(ADD, {**FORM, "metadata": '{"a":' * 31 + '"\\ud83d\\ude00"' + "}" * 31})
    assert "\U0001f600" in str(Client.objects.get().metadata)


def test_private_use_scheme_is_for_public_clients(root: Browser) -> None:
    root.post(ADD, {**FORM, "type": "public", "redirect_uris": "com.example.app:/callback"})
    assert Client.objects.get().redirect_uris.get().uri == "com.example.app:/callback"


def test_change_keeps_what_was_not_touched(root: Browser, app: App) -> None:
    url = change_page(app.client)
    fields = filled_in(root, url)
    assert fields["redirect_uris"] == "https://app.example/callback?kept=1"
    before = app.client.redirect_uris.get().pk
    assert root.post(url, {**fields, "name": "Renamed"}).status_code == 302
    app.client.refresh_from_db()
    assert app.client.name == "Renamed"
    assert app.client.scopes == ("read", "write", "profile")
    assert app.client.redirect_uris.get().pk == before
    assert app.client.rotates_refresh_tokens


@pytest.mark.parametrize("uri", ["https://app.example/Callback?kept=1", "https://app.example/callback?kept=1%20"])
def test_change_of_a_redirect_uri_takes_the_old_one_away(root: Browser, app: App, uri: str) -> None:
    url = change_page(app.client)
    root.post(url, {**filled_in(root, url), "redirect_uris": uri})
    assert [row.uri for row in app.client.redirect_uris.all()] == [uri]


def test_change_cannot_touch_client_id_and_type(root: Browser, app: App) -> None:
    url = change_page(app.client)
    root.post(url, {**filled_in(root, url), "client_id": "other", "type": "public"})
    app.client.refresh_from_db()
    assert (app.client.client_id, app.client.type) == ("photo-app", "confidential")


def test_change_keeps_a_scope_that_left_the_settings_out_of_sight_of_no_one(
    root: Browser, app: App, settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "SCOPES": {"read": "Read your data"}}
    url = change_page(app.client)
    assert filled_in(root, url)["scopes_allowed"] == ["read", "write", "profile"]
    response = root.post(url, filled_in(root, url))
    assert "is not in PKCE_AUTH" in errors_at(response, "scopes_allowed")


def test_change_page_shows_secrets_by_fingerprint(root: Browser, app: App) -> None:
    assert app.secret
    page = root.get(change_page(app.client)).content.decode()
    assert digest(app.secret).hex()[:12] in page
    assert digest(app.secret).hex() not in page
    assert app.secret not in page


def test_secret_can_be_added_while_the_old_one_works(root: Browser, app: App, signed_in: Browser) -> None:
    url = change_page(app.client, "add-secret")
    assert ">Add secret<" in root.get(change_page(app.client)).content.decode()
    asked = root.get(url)
    assert not SECRET.search(asked.content.decode())
    assert app.client.secrets.count() == 1
    (second,) = SECRET.findall(root.post(url).content.decode())
    for secret in (app.secret, second):
        worker = App(app.client, secret)
        assert worker.redeem(approve(signed_in, app.link())["code"]).status_code == 200
    assert "Added a secret" in root.get(change_page(app.client, "history")).content.decode()


def test_add_secret_needs_its_csrf_token(app: App, django_user_model: Any) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(django_user_model.objects.create_superuser(username="root"))
    assert browser.post(change_page(app.client, "add-secret")).status_code == 403
    assert app.client.secrets.count() == 1


@pytest.mark.parametrize("permissions", [(), ("view",), ("add", "view"), ("delete",)])
def test_add_secret_needs_the_permission_to_change(staff: Any, app: App, permissions: tuple[str, ...]) -> None:
    browser, url = staff(*permissions), change_page(app.client, "add-secret")
    for response in (browser.get(url), browser.post(url)):
        assert response.status_code == 403
        assert not SECRET.search(response.content.decode())
    assert app.client.secrets.count() == 1


def test_add_secret_is_open_to_whoever_may_change(staff: Any, app: App) -> None:
    assert SECRET.search(staff("change").post(change_page(app.client, "add-secret")).content.decode())


def test_add_secret_asks_a_visitor_to_log_in(app: App) -> None:
    response = Browser().post(change_page(app.client, "add-secret"))
    assert response.status_code == 302
    assert "/login/" in response["Location"]


@pytest.mark.parametrize("key", ["999999", "x", "_31", "1'"])
def test_add_secret_to_what_is_no_client_is_not_found(root: Browser, key: str) -> None:
    assert root.post(f"/admin/pkce_auth/client/{key}/add-secret/").status_code in (302, 404)


def test_view_permission_shows_the_client_and_changes_nothing(staff: Any, app: App) -> None:
    browser = staff("view")
    page = browser.get(change_page(app.client))
    assert page.status_code == 200
    text = page.content.decode()
    assert "https://app.example/callback" in text
    assert "profile" in text
    assert "Add secret" not in text
    assert browser.post(change_page(app.client), FORM).status_code == 403
    assert browser.get(ADD).status_code == 403


def test_service_user_is_chosen_by_who_may_change_users_and_by_nobody_else(
    staff: Any, app: App, django_user_model: Any
) -> None:
    """With the client's secret one acts as that user: clients are one permission, whom they act for is another."""
    browser, root = staff("add", "change", "view"), django_user_model.objects.create_superuser(username="root")
    browser.post(ADD, FORM | {"grants": ["client_credentials"], "service_user": root.pk})
    assert Client.objects.get(client_id="print-app").service_user is None
    Client.objects.filter(pk=app.client.pk).update(service_user=django_user_model.objects.get(username="staff"))
    url = change_page(app.client)
    assert browser.post(url, {**filled_in(browser, url), "service_user": root.pk}).status_code == 302
    app.client.refresh_from_db()
    assert app.client.service_user is not None
    assert app.client.service_user.get_username() == "staff"
    django_user_model.objects.get(username="staff").user_permissions.add(Permission.objects.get(codename="change_user"))
    assert browser.post(url, {**filled_in(browser, url), "service_user": root.pk}).status_code == 302
    app.client.refresh_from_db()
    assert app.client.service_user == root


def test_disable_ends_access_at_once_and_enable_restores_it(root: Browser, app: App, tokens: dict[str, Any]) -> None:
    chosen = {"_selected_action": [app.client.pk]}
    headers = bearer(tokens["access_token"])
    root.post(LIST, {"action": "disable", **chosen})
    assert Browser().get("/api/read", headers=headers).status_code == 401
    root.post(LIST, {"action": "enable", **chosen})
    assert Browser().get("/api/read", headers=headers).status_code == 200


def test_admins_own_log_tells_who_disabled_and_enabled_a_client(root: Browser, app: App) -> None:
    for action in ("disable", "disable", "enable", "enable"):
        root.post(LIST, {"action": action, "_selected_action": [app.client.pk]})
    log = LogEntry.objects.filter(object_id=str(app.client.pk)).order_by("pk")
    assert [(row.user.get_username(), row.change_message) for row in log] == [
        ("root", "Disabled."),
        ("root", "Enabled."),
    ]


def test_actions_need_the_permission_to_change(staff: Any, app: App) -> None:
    browser = staff("view")
    browser.post(LIST, {"action": "disable", "_selected_action": [app.client.pk]})
    app.client.refresh_from_db()
    assert app.client.disabled_at is None


def test_list_finds_clients_and_shows_no_secret(root: Browser, app: App) -> None:
    page = root.get(LIST, {"q": "photo"}).content.decode()
    assert "Photo App" in page
    assert app.secret not in page
    assert "Photo App" not in root.get(LIST, {"q": "nothing"}).content.decode()


def test_list_cannot_be_filtered_by_digest(root: Browser, app: App) -> None:
    """A look-up by digest, a letter at a time, would give the digests away."""
    response = root.get(LIST, {"secrets__digest__startswith": "a"})
    assert response.status_code in (302, 400)
