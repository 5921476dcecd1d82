"""A scope or a resource that is taken from a client, or from the settings, and what was granted before (§3.3, §5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.keys import add_key
from django_pkce_auth.server.models import AccessToken, AuthorizationCode, Client, TokenFamily
from tests.four_steps import App, approve, bearer, returned
from tests.server.test_token_request import refused

OWN, TOOLS, API = "https://testserver", "https://testserver/tools", "https://api.example/v1"
BOTH = ("read", "write")


def take_from_the_client(settings: Any) -> None:
    Client.objects.update(scope="read profile")


def take_from_the_settings(settings: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "SCOPES": {"read": "Read your data", "profile": "See your profile"}}


either_way = pytest.mark.parametrize("take", [take_from_the_client, take_from_the_settings])


def says(answer: Any, error: str, text: str) -> None:
    """The whole text: these are for people whose app has worked until now."""
    refused(answer, error)
    assert answer.json()["error_description"] == text


def may_write(access_token: str) -> bool:
    response: Any = Browser().get("/api/write", headers=bearer(access_token))
    assert response.status_code in (200, 403), response.content
    return bool(response.status_code == 200)


@either_way
def test_code_gives_what_is_left_and_says_so(app: App, signed_in: Browser, settings: Any, take: Any) -> None:
    code = approve(signed_in, app.link(scopes=BOTH))["code"]
    take(settings)
    tokens = app.redeem(code).json()
    assert tokens["scope"] == "read"
    assert not may_write(tokens["access_token"])
    assert app.post("/oauth/introspect", token=tokens["access_token"]).json()["scope"] == "read"


@either_way
@pytest.mark.parametrize("rotates", [True, False])
def test_refresh_gives_what_is_left_and_all_when_it_is_given_back(
    register: Callable[..., App], signed_in: Browser, settings: Any, take: Any, rotates: bool
) -> None:
    app, before = register(rotates_refresh_tokens=rotates), settings.PKCE_AUTH
    first = app.redeem(approve(signed_in, app.link(scopes=BOTH))["code"]).json()
    assert may_write(first["access_token"])
    take(settings)
    less = app.refresh(first["refresh_token"]).json()
    assert less["scope"] == "read"
    assert not may_write(less["access_token"])
    settings.PKCE_AUTH = before
    Client.objects.update(scope="read write")
    again = app.refresh(less.get("refresh_token", first["refresh_token"])).json()
    assert again["scope"] == "read write"
    assert may_write(again["access_token"])


def test_token_from_before_lives_on_until_it_is_revoked(app: App, signed_in: Browser) -> None:
    token = app.redeem(approve(signed_in, app.link(scopes=BOTH))["code"]).json()["access_token"]
    Client.objects.update(scope="read")
    assert may_write(token)
    app.post("/oauth/revoke", token=token)
    assert Browser().get("/api/write", headers=bearer(token)).status_code == 401


def test_client_that_names_all_it_was_granted_gets_what_is_left_of_it(app: App, signed_in: Browser) -> None:
    token = app.redeem(approve(signed_in, app.link(scopes=BOTH))["code"]).json()["refresh_token"]
    Client.objects.update(scope="read profile")
    refused(app.refresh(token, scope="write"), "invalid_scope", "scope write is not allowed to this client any more")
    refused(app.refresh(token, scope="read profile"), "invalid_scope", "scope profile was not granted")
    assert app.refresh(token, scope="write read").json()["scope"] == "read"


def test_to_name_all_that_was_granted_narrows_nothing(app: App, signed_in: Browser) -> None:
    token = app.redeem(approve(signed_in, app.link(scopes=BOTH))["code"]).json()["refresh_token"]
    assert app.refresh(token, scope="write read").status_code == 200
    assert [each.scope for each in AccessToken.objects.all()] == [None, None]


def test_scope_that_was_not_granted_is_not_gained_with_the_clients_list(app: App, signed_in: Browser) -> None:
    code = approve(signed_in, app.link())["code"]
    Client.objects.update(scope="write read")
    assert app.redeem(code).json()["scope"] == "read"
    assert AccessToken.objects.get().scope is None


@pytest.mark.parametrize("scope", ["", "profile", "readwrite rea"])
def test_nothing_left_is_said_and_ends_nothing(app: App, signed_in: Browser, scope: str) -> None:
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    code = approve(signed_in, app.link())["code"]
    Client.objects.update(scope=scope)
    for answer in (app.redeem(code), app.refresh(tokens["refresh_token"])):
        says(
            answer,
            "invalid_grant",
            "The client may have none of the scopes that were granted any more; begin a new authorization.",
        )
    assert AuthorizationCode.objects.filter(family=None).count() == 1
    assert TokenFamily.objects.get().revoked_at is None
    Client.objects.update(scope="read")
    assert app.redeem(code).json()["scope"] == "read"
    assert app.refresh(tokens["refresh_token"]).json()["scope"] == "read"


@pytest.mark.parametrize("left", ["read", ""])
def test_device_gets_what_is_left(register: Callable[..., App], signed_in: Browser, left: str) -> None:
    app = register(grant_types=DEVICE_CODE)
    codes: Any = app.post("/oauth/device_authorization", scope="read write").json()
    signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": "approve"})
    Client.objects.update(scope=left)
    answer = app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])
    if not left:
        refused(answer, "invalid_grant", "none of the scopes")
        Client.objects.update(scope="read")
        answer = app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])
    assert answer.json()["scope"] == "read"


def test_scope_that_another_one_implies_goes_with_it(app: App, signed_in: Browser, settings: Any) -> None:
    scopes = {"all": {"words": "All", "implies": ["write"]}, "read": "Read", "write": "Write"}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "SCOPES": scopes}
    Client.objects.update(scope="all read")
    token = app.redeem(approve(signed_in, app.link(scopes=("all", "read")))["code"]).json()["refresh_token"]
    less = app.refresh(token, scope="write").json()
    assert less["scope"] == "write"
    Client.objects.update(scope="read")
    refused(app.refresh(less["refresh_token"], scope="write"), "invalid_scope", "not allowed to this client any more")
    assert app.refresh(less["refresh_token"]).json()["scope"] == "read"


def test_signed_token_says_what_is_left(register: Callable[..., App], signed_in: Browser) -> None:
    add_key("ES256", settings=conf.settings(), now=timezone.now())
    app = register(token_format="ES256")
    code = approve(signed_in, app.link(scopes=BOTH))["code"]
    Client.objects.update(scope="write")
    token = app.redeem(code).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["scope"] == "write"


def link_to(app: App, *named: str) -> str:
    return f"{app.link()}&{urlencode([('resource', each) for each in named])}"


def audience(app: App, token: str) -> list[str]:
    found = app.post("/oauth/introspect", token=token).json()["aud"]
    return [found] if isinstance(found, str) else list(found)


@pytest.mark.parametrize("of_the", ["client", "settings"])
def test_resource_that_is_taken_away_is_left_out(app: App, signed_in: Browser, settings: Any, of_the: str) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/tools": "Tools", API: "The API"}}
    tokens = app.redeem(approve(signed_in, link_to(app, TOOLS, API))["code"]).json()
    code = approve(signed_in, link_to(app, TOOLS, API))["code"]
    assert audience(app, tokens["access_token"]) == [TOOLS, API]
    if of_the == "client":
        Client.objects.update(resources=f"{OWN} {TOOLS}")
    else:
        settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/tools": "Tools"}}
    assert audience(app, app.redeem(code).json()["access_token"]) == [TOOLS]
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert audience(app, renewed["access_token"]) == [TOOLS]
    gone = "resource names one that is not allowed to this client any more."
    words = gone if of_the == "client" else "resource names one that this authorization was not granted for."
    says(app.refresh(renewed["refresh_token"], resource=API), "invalid_target", words)
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/tools": "Tools", API: "The API"}}
    Client.objects.update(resources="")
    again = app.refresh(renewed["refresh_token"]).json()
    assert audience(app, again["access_token"]) == [TOOLS, API]


def test_client_that_was_bound_to_another_resource_gets_no_token_for_this_project(
    app: App, signed_in: Browser, settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/tools": "Tools"}}
    tokens = app.redeem(approve(signed_in, app.link())["code"]).json()
    Client.objects.update(resources=TOOLS)
    says(
        app.refresh(tokens["refresh_token"]),
        "invalid_grant",
        "The client may use none of the resources that were granted any more; begin a new authorization.",
    )
    refused(app.refresh(tokens["refresh_token"], resource=TOOLS), "invalid_grant")
    Client.objects.update(resources=f"{TOOLS} {OWN}")
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_client_gets_no_token_for_a_resource_of_its_own_list_that_left_the_settings(
    register: Callable[..., App], settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": {"/tools": "Tools"}}
    app = register(grant_types="client_credentials", resources=f"{TOOLS} {API}")
    token = app.post(grant_type="client_credentials", scope="read").json()["access_token"]
    assert audience(app, token) == [TOOLS]


def test_client_whose_whole_list_left_the_settings_gets_none_for_this_project(
    register: Callable[..., App], signed_in: Browser
) -> None:
    app = register(grant_types=f"authorization_code client_credentials {DEVICE_CODE}", resources=API)
    answer = app.post(grant_type="client_credentials", scope="read")
    says(answer, "invalid_target", "This server has none of the client's resources any more.")
    refused(app.post("/oauth/device_authorization", scope="read"), "invalid_target")
    assert returned(signed_in.get(app.link()))["error"] == "invalid_target"
    assert not AccessToken.objects.exists()
