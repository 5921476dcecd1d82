"""The fake provider in projects that are set up otherwise than ours: what a project's own tests would find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import clear_script_prefix, include, path, set_script_prefix

from django_pkce_auth.testing import FakeProvider

urlpatterns = [path("sso/", include("django_pkce_auth.urls"))]


def test_flow_is_walked_where_the_app_is_included_below_a_path(
    fake_provider: FakeProvider, signed_in: Browser, settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "ISSUER": "https://testserver/sso"}
    assert fake_provider.connect(signed_in).label == "Fay Ke"
    assert fake_provider.log_in(Browser()).label == "Fay Ke"


@pytest.fixture
def script_name(settings: Any) -> Iterator[None]:
    settings.FORCE_SCRIPT_NAME = "/sso"
    set_script_prefix("/sso")
    yield
    clear_script_prefix()


@pytest.mark.usefixtures("script_name")
def test_flow_is_walked_where_the_project_is_mounted_below_a_path(
    fake_provider: FakeProvider, signed_in: Browser
) -> None:
    assert fake_provider.connect(signed_in).label == "Fay Ke"
    assert fake_provider.log_in(Browser()).label == "Fay Ke"


def test_visitor_is_logged_in_where_session_cookies_are_strict(
    fake_provider: FakeProvider, db: None, settings: Any
) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    browser = Browser()
    user = fake_provider.log_in(browser).user
    assert browser.session["_auth_user_id"] == str(user.pk)


def test_flow_is_walked_where_all_is_redirected_to_https(
    fake_provider: FakeProvider, signed_in: Browser, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert fake_provider.connect(signed_in).label == "Fay Ke"
