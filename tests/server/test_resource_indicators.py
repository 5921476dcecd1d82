"""Tokens bound to a resource, at every request that can name one (RFC 8707 §2, §2.1, §2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.test import RequestFactory, override_settings

from django_pkce_auth import conf
from django_pkce_auth.resource import require_scopes
from django_pkce_auth.server.clients import clean_resources
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, Client, Consent, TokenFamily
from tests.four_steps import VERIFIER, App, approve, bearer, returned

OWN, TOOLS, API = "https://testserver", "https://testserver/tools", "https://api.example/v1"
RESOURCES = {"/tools": {"name": "Photo tools", "scopes": ["read"]}, API: "The API"}


@pytest.fixture(autouse=True)
def resources() -> Any:
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": RESOURCES}):
        yield


def link(app: App, *named: str, scope: str = "read") -> str:
    return f"{app.link_with(scope=scope)}&{urlencode([('resource', each) for each in named])}"


def redeem(app: App, code: str, *named: str) -> Any:
    form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)]
    return token_request(app, form, *named)


def token_request(app: App, form: list[tuple[str, str]], *named: str) -> Any:
    body = urlencode([*form, *(("resource", each) for each in named)])
    headers = {"Authorization": app.credentials.header()}
    return Browser().post("/oauth/token", body, content_type="application/x-www-form-urlencoded", headers=headers)


def opens(token: str) -> set[str]:
    """Return where a token is let in."""
    places = {OWN: ("/x", None), TOOLS: ("/tools/x", None), API: ("/x", API)}
    found = set()
    for identifier, (path, named) in places.items():
        view = require_scopes("read", resource=named)(lambda request: None)
        if view(RequestFactory().get(path, headers=bearer(token))) is None:
            found.add(identifier)
    return found


def test_token_holds_what_it_was_narrowed_to_and_nothing_where_it_was_not(app: App, signed_in: Browser) -> None:
    stored = AccessToken.objects.order_by("created_at").values_list("resource", flat=True)
    for named, held in (((API, TOOLS), f"{API} {TOOLS}"), ((API, OWN, TOOLS), None), ((), None)):
        code = approve(signed_in, link(app, OWN, TOOLS, API))["code"]
        assert redeem(app, code, *named).status_code == 200
        assert stored.last() == held


def test_resource_that_is_none_of_the_clients_is_said(app: App, signed_in: Browser) -> None:
    answer = returned(signed_in.get(link(app, "https://elsewhere.example")))
    assert answer["error"] == "invalid_target"
    text = "resource names one that does not exist here or is not allowed to this client."
    assert answer["error_description"] == text


def test_resource_beyond_the_authorization_is_said(app: App, signed_in: Browser) -> None:
    code = approve(signed_in, link(app, TOOLS))["code"]
    assert redeem(app, code, API).json() == {
        "error": "invalid_target",
        "error_description": "resource names one that this authorization was not granted for.",
    }


@pytest.mark.parametrize(
    ("named", "where"),
    [
        ((), {OWN}),
        ((OWN,), {OWN}),
        ((f"{OWN}/",), {OWN}),
        ((TOOLS,), {TOOLS}),
        ((API,), {API}),
        ((TOOLS, API), {TOOLS, API}),
        ((OWN, TOOLS), {OWN, TOOLS}),
        ((TOOLS, TOOLS), {TOOLS}),
    ],
)
def test_token_opens_what_it_was_asked_for_and_nothing_else(
    app: App, signed_in: Browser, named: tuple[str, ...], where: set[str]
) -> None:
    code = approve(signed_in, link(app, *named))["code"]
    tokens = redeem(app, code).json()
    assert opens(tokens["access_token"]) == where
    again = app.refresh(tokens["refresh_token"]).json()
    assert opens(again["access_token"]) == where
    assert (TokenFamily.objects.get().resource is None) == (where == {OWN})


@pytest.mark.parametrize(
    "resource",
    ["https://evil.example", "/tools", "tools", f"{TOOLS}/", f"{TOOLS}#x", "HTTPS://testserver", "http://[/", "//[x]/"],
)
def test_unknown_resource_is_refused_at_the_authorization_endpoint(app: App, signed_in: Browser, resource: str) -> None:
    answer = returned(signed_in.get(link(app, resource)))
    assert answer["error"] == "invalid_target"
    assert answer["state"]
    assert not AuthorizationCode.objects.exists()


def test_code_gives_a_token_for_a_part_and_refreshes_give_the_other_rfc8707_2_2(app: App, signed_in: Browser) -> None:
    code = approve(signed_in, link(app, TOOLS, API))["code"]
    tokens = redeem(app, code, TOOLS).json()
    assert opens(tokens["access_token"]) == {TOOLS}
    form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"])]
    other = token_request(app, form, API).json()
    assert opens(other["access_token"]) == {API}
    form = [("grant_type", "refresh_token"), ("refresh_token", other["refresh_token"])]
    assert opens(token_request(app, form).json()["access_token"]) == {TOOLS, API}


@pytest.mark.parametrize("beyond", [API, OWN, "https://evil.example", "http://[/"])
def test_token_request_beyond_what_was_granted_is_refused_and_burns_nothing(
    app: App, signed_in: Browser, beyond: str
) -> None:
    code = approve(signed_in, link(app, TOOLS))["code"]
    refused = redeem(app, code, TOOLS, beyond)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    tokens = redeem(app, code).json()
    form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"])]
    refused = token_request(app, form, beyond)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert token_request(app, form, TOOLS).status_code == 200


def test_unbound_authorization_is_for_this_project_and_can_name_it(app: App, signed_in: Browser) -> None:
    code = approve(signed_in, app.link())["code"]
    assert redeem(app, code, TOOLS).json()["error"] == "invalid_target"
    assert opens(redeem(app, code, OWN).json()["access_token"]) == {OWN}


def test_client_with_a_list_gets_its_own_resources_and_no_others(app: App, signed_in: Browser) -> None:
    Client.objects.update(resources=f"{TOOLS} {API}")
    assert returned(signed_in.get(link(app, OWN)))["error"] == "invalid_target"
    code = approve(signed_in, app.link())["code"]
    assert opens(redeem(app, code).json()["access_token"]) == {TOOLS, API}


def test_client_credentials_are_bound_too(register: Callable[..., App]) -> None:
    app = register(client_id="robot", grant_types="client_credentials", scope="read")
    form = [("grant_type", "client_credentials"), ("scope", "read")]
    assert opens(token_request(app, form, API).json()["access_token"]) == {API}
    assert token_request(app, form, "https://evil.example").json()["error"] == "invalid_target"
    assert opens(token_request(app, form).json()["access_token"]) == {OWN}


def test_introspection_names_the_audience(register: Callable[..., App], app: App, signed_in: Browser) -> None:
    code = approve(signed_in, link(app, TOOLS, API))["code"]
    token = redeem(app, code, API).json()["access_token"]
    assert app.post("/oauth/introspect", token=token).json()["aud"] == [API]


def test_scope_allowed_at_one_resource_is_asked_for_again_at_another(app: App, signed_in: Browser) -> None:
    approve(signed_in, link(app, TOOLS))
    assert signed_in.get(link(app, TOOLS)).status_code == 303
    approve(signed_in, link(app, API, scope="write"))
    for named, scope in (((API,), "read"), ((TOOLS,), "write"), ((), "read"), ((TOOLS, API), "read")):
        assert signed_in.get(link(app, *named, scope=scope)).status_code == 200, (named, scope)
    assert signed_in.get(link(app, API, scope="write")).status_code == 303
    assert Consent.objects.get().scopes == ("read", "write")


def test_people_read_where_the_access_is_for(app: App, signed_in: Browser) -> None:
    page = signed_in.get(link(app, TOOLS, API)).content.decode()
    assert "<b>Photo tools</b> (https://testserver/tools)" in page
    assert "<b>The API</b> (https://api.example/v1)" in page
    assert "testserver/tools" not in signed_in.get(app.link()).content.decode()


def test_withdrawal_forgets_every_resource(app: App, signed_in: Browser) -> None:
    tokens = redeem(app, approve(signed_in, link(app, TOOLS))["code"]).json()
    assert "At Photo tools" in signed_in.get("/oauth/apps").content.decode()
    signed_in.post("/oauth/apps", {"client_id": app.client.client_id})
    assert not Consent.objects.exists()
    assert opens(tokens["access_token"]) == set()


def test_registration_takes_a_path_and_refuses_what_is_unknown(db: None) -> None:
    registry = conf.settings().resources
    assert clean_resources(["/tools", API, TOOLS], registry) == f"{TOOLS} {API}"
    with pytest.raises(ValidationError, match="known are"):
        clean_resources(["/tool"], registry)
    call_command("pkce_client", "create", "Tool", "--resource", "/tools", "--json")
    assert Client.objects.get().resources == TOOLS
    with pytest.raises(CommandError, match=r"https://nowhere\.example"):
        call_command("pkce_client", "create", "Tool", "--resource", "https://nowhere.example")
