"""A project that is mounted below a path, under ASGI: ``request.path`` lacks the prefix where a proxy took it off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.test import AsyncClient, override_settings
from django.urls import clear_script_prefix

from django_pkce_auth.resource.backends import BearerBackend
from django_pkce_auth.testing import issue_access_token

BELOW = "https://testserver/sso/guarded"


@pytest.fixture(autouse=True)
def mounted(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.resource.guarded"
    settings.FORCE_SCRIPT_NAME = "/sso"
    settings.PKCE_AUTH = {**django_settings.PKCE_AUTH, "RESOURCES": {"/sso/guarded": "Guarded"}}
    yield
    clear_script_prefix()


@pytest.mark.parametrize("prefix", ["/sso", ""])
@pytest.mark.parametrize("guard", ["function", "async-function", "mixin", "drf", "ninja/sync"])
@pytest.mark.django_db(transaction=True)
def test_resource_is_that_of_the_whole_path(guard: str, prefix: str, alice: Any) -> None:
    bound, unbound = (issue_access_token(alice, ["read", "profile"], resource=each) for each in (BELOW, ()))

    async def statuses() -> list[Any]:
        path = f"{prefix}/guarded/{guard}"
        sent = [{"Authorization": f"Bearer {raw}"} for raw in (bound, unbound)]
        try:
            return [await AsyncClient().get(path, headers=headers) for headers in [*sent, {}]]
        finally:
            await sync_to_async(connections.close_all)()

    answers = asyncio.run(statuses())
    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert "/.well-known/oauth-protected-resource/sso/guarded" in answers[2]["WWW-Authenticate"]


@pytest.mark.parametrize("prefix", ["/sso", ""])
def test_backend_names_who_may_act_at_the_whole_path(prefix: str, alice: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    scope = {"type": "http", "method": "GET", "path": f"{prefix}/guarded/x", "headers": [], "query_string": b""}
    assert BearerBackend().authenticate(ASGIRequest(scope, None), access_token=raw) is None
    with override_settings(PKCE_AUTH={**django_settings.PKCE_AUTH, "RESOURCES": {}}):
        assert BearerBackend().authenticate(ASGIRequest(scope, None), access_token=raw) == alice
