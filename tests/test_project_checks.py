"""What the project around the app must have, one test an id."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.views import LoginView
from django.core.checks import run_checks
from django.urls import include, path

from django_pkce_auth.server.models import Client


def ids(*, deploy: bool = False, database: bool = False) -> list[str | None]:
    # From Django 6.1 on, None means every database.
    found = run_checks(tags=["pkce_auth"], include_deployment_checks=deploy, databases=["default"] if database else [])
    assert all(each.hint for each in found)
    return [each.id for each in found]


def test_project_of_the_tests_is_sound() -> None:
    assert ids() == []


def test_e008_urls_that_are_not_included(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.empty_urls"
    assert "pkce_auth.E008" in ids()


@pytest.mark.parametrize("name", ["sessions.middleware.SessionMiddleware", "auth.middleware.AuthenticationMiddleware"])
def test_e009_middleware_that_is_missing(name: str, settings: Any) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.endswith(name)]
    assert ids() == ["pkce_auth.E009"]


def test_e012_local_times(settings: Any) -> None:
    settings.USE_TZ = False
    assert ids() == ["pkce_auth.E012"]


class ByLanguage:
    """A URLconf below the language's code; the default language may have none."""

    def __init__(self, *, prefix_default_language: bool) -> None:
        ours = path("", include("django_pkce_auth.urls"))
        self.urlpatterns = [
            path("login/", LoginView.as_view()),
            *i18n_patterns(ours, prefix_default_language=prefix_default_language),
        ]


@pytest.mark.parametrize("prefix_default_language", [True, False])
@pytest.mark.parametrize("language", ["en-us", "de"])
def test_e013_urls_that_change_with_the_language(prefix_default_language: bool, language: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = language
    settings.ROOT_URLCONF = ByLanguage(prefix_default_language=prefix_default_language)
    assert ids() == ["pkce_auth.E013"]


def test_project_with_one_language_is_sound(settings: Any) -> None:
    settings.LANGUAGES = [("en-us", "English")]
    assert ids() == []


def test_middleware_with_a_wrong_name_is_left_to_django(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "no.such.Middleware"]
    assert ids() == []


@pytest.mark.parametrize(
    ("login_url", "expected"), [("/nowhere/", ["pkce_auth.W010"]), ("no:name", ["pkce_auth.W010"])]
)
def test_w010_log_in_page_that_leads_nowhere(login_url: str, expected: list[str], settings: Any) -> None:
    settings.LOGIN_URL = login_url
    assert ids() == expected


@pytest.mark.parametrize("login_url", ["/login/", "admin:login", "https://sso.example/login"])
def test_log_in_page_that_is_there_is_fine(login_url: str, settings: Any) -> None:
    settings.LOGIN_URL = login_url
    assert ids() == []


def test_w020_cache_of_one_process(settings: Any) -> None:
    assert "pkce_auth.W020" in ids(deploy=True)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://x"}}
    assert "pkce_auth.W020" not in ids(deploy=True)


def test_project_that_only_guards_apis_has_no_brake_to_share(settings: Any) -> None:
    server = {"issuer": "https://issuer.example", "verification": "jwks"}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUTHORIZATION_SERVER": server}
    assert "pkce_auth.W020" in ids(deploy=True)
    settings.ROOT_URLCONF = (path("", include("django_pkce_auth.resource.urls")),)
    assert "pkce_auth.W020" not in ids(deploy=True)


@pytest.mark.parametrize(
    "sound", [{"SECURE_SSL_REDIRECT": True}, {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}]
)
def test_w021_https_that_nobody_tells_django_of(sound: dict[str, Any], settings: Any) -> None:
    assert "pkce_auth.W021" in ids(deploy=True)
    for name, value in sound.items():
        setattr(settings, name, value)
    assert "pkce_auth.W021" not in ids(deploy=True)


def test_project_without_a_database_has_none_to_look_into(no_database: None) -> None:
    assert ids(database=True) == []


@pytest.mark.django_db
def test_w022_scope_that_the_settings_do_not_know() -> None:
    Client.objects.create(client_id="a", scope="read gone")
    assert ids(database=True) == ["pkce_auth.W022"]
    assert ids() == []


def test_w024_verified_tokens_kept_in_one_process(settings: Any) -> None:
    assert "pkce_auth.W024" not in ids(deploy=True)
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "TOKEN_CACHE_LIFETIME": 30}
    assert "pkce_auth.W024" in ids(deploy=True)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://x"}}
    assert "pkce_auth.W024" not in ids(deploy=True)


@pytest.mark.parametrize("wrong", [0, -1, 301, "30", True, float("nan")])
def test_token_cache_takes_seconds_up_to_five_minutes(wrong: object, settings: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "TOKEN_CACHE_LIFETIME": wrong}
    assert ids() == ["pkce_auth.E001"]


def test_project_with_guards_alone_needs_no_sign_in(settings: Any) -> None:
    """Another project issues the tokens: neither our endpoints nor sessions, nor a log-in page have to be there."""
    settings.ROOT_URLCONF = (path("", include("django_pkce_auth.resource.urls")),)
    settings.MIDDLEWARE, settings.LOGIN_URL = [], "/nowhere/"
    assert ids() == ["pkce_auth.E008", "pkce_auth.E009", "pkce_auth.E009", "pkce_auth.W010"]
    server = {"issuer": "https://issuer.example", "verification": "jwks"}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUTHORIZATION_SERVER": server}
    assert ids() == []
    # A mistake in the settings is told alone, without advice on a log-in page that this project needs none of.
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUTHORIZATION_SERVER": {**server, "verification": "jwt"}}
    assert ids() == ["pkce_auth.E001"]
    assert "pkce_auth.W020" not in ids(deploy=True)
