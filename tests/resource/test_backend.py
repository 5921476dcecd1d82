"""The Django authentication backend: ``authenticate(request, access_token=…)``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory, override_settings

from django_pkce_auth.resource.backends import BearerBackend
from django_pkce_auth.server.models import Client
from django_pkce_auth.testing import issue_access_token


@pytest.fixture(autouse=True)
def backends() -> Any:
    names = ["django_pkce_auth.resource.backends.BearerBackend", "django.contrib.auth.backends.ModelBackend"]
    with override_settings(AUTHENTICATION_BACKENDS=names):
        yield


def test_token_names_its_user_and_the_grant(alice: Any) -> None:
    user: Any = authenticate(None, access_token=issue_access_token(alice, ["read"]))
    assert user == alice
    assert user.oauth.scopes == ("read",)


@pytest.mark.parametrize("token", ["", "x", "a b", "Bearer x", None, 7, b"x", "\x00", "x" * 100_000])
def test_anything_else_names_nobody(db: None, token: Any) -> None:
    assert authenticate(None, access_token=token) is None


def test_expired_token_names_nobody(alice: Any) -> None:
    assert authenticate(None, access_token=issue_access_token(alice, ["read"], expires_in=-1)) is None


def test_passwords_are_left_to_the_other_backend(alice: Any) -> None:
    assert authenticate(None, username="alice", password="wonderland") == alice


def test_client_that_acts_for_itself_is_its_service_user_or_nobody(alice: Any) -> None:
    raw = issue_access_token(None, ["read"])
    assert authenticate(None, access_token=raw) is None
    Client.objects.update(service_user=alice)
    assert authenticate(None, access_token=raw) == alice


def test_token_is_for_the_resource_of_the_request(alice: Any, settings: Any) -> None:
    raw = issue_access_token(alice, ["read"])
    with override_settings(PKCE_AUTH=settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        assert authenticate(RequestFactory().get("/x"), access_token=raw) == alice
        assert authenticate(RequestFactory().get("/tools/x"), access_token=raw) is None


def test_no_session_lives_on_it(alice: Any) -> None:
    assert BearerBackend().get_user(alice.pk) is None
