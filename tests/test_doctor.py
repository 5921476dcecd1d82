"""``pkce_doctor``: one page for whoever sets this up."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.urls import include, path
from django.utils import timezone

from django_pkce_auth import urls as package_urls
from django_pkce_auth.server.models import AccessToken
from tests import urls

GOOD = {
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}},
    "SECURE_SSL_REDIRECT": True,
}


@pytest.fixture
def sound(settings: Any, db: None) -> None:
    for name, value in GOOD.items():
        setattr(settings, name, value)


def without(module: Any) -> list[Any]:
    """The tests' URLconf without what it includes of ``module``."""
    return [each for each in urls.urlpatterns if getattr(each, "urlconf_name", None) is not module]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("pkce_doctor", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_doctor_shows_what_others_must_know(sound: None) -> None:
    text = run()
    assert "issuer: https://testserver" in text
    assert "https://testserver/oauth/token" in text
    assert "https://testserver/connect/acme/callback" in text
    assert "Nothing to mend." in text


@pytest.mark.parametrize(
    ("left_out", "words"),
    [("device_authorization", "oauth/device_authorization"), ("callback", "/connect/acme/callback")],
)
def test_doctor_shows_the_rest_where_one_url_is_left_out(sound: None, settings: Any, left_out: str, words: str) -> None:
    kept = [pattern for pattern in package_urls.urlpatterns if pattern.name != left_out]
    settings.ROOT_URLCONF = (*without(package_urls), path("", include((kept, "pkce_auth"))))
    told = json.loads(run("--json"))
    assert told["issuer"] == "https://testserver"
    assert told["endpoints"]["token_endpoint"] == "https://testserver/oauth/token"
    assert "expired" in told
    assert words not in json.dumps(told)
    assert ("acme" in told["redirect_uris"]) is (left_out != "callback")


def test_doctor_shows_the_addresses_although_the_database_can_not_be_read(
    sound: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise OperationalError("no such table")

    monkeypatch.setattr("django_pkce_auth.management.commands.pkce_doctor.all_entries", fail)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("pkce_doctor", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["endpoints"]["token_endpoint"] == "https://testserver/oauth/token"
    assert any("run manage.py migrate" in problem for problem in told["problems"])


def test_doctor_of_a_project_without_a_database(settings: Any, no_database: None) -> None:
    settings.ROOT_URLCONF = (path("", include("django_pkce_auth.resource.urls")),)
    server = {"issuer": "https://issuer.example", "verification": "jwks"}
    settings.PKCE_AUTH = {"ISSUER": "https://api.example", "AUTHORIZATION_SERVER": server}
    settings.SECURE_SSL_REDIRECT = True
    text = run()
    assert "issuer: https://api.example" in text
    assert "Nothing to mend." in text


def test_doctor_counts_expired_rows(tokens: dict[str, Any], sound: None) -> None:
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert json.loads(run("--json"))["expired"]["access tokens"] == 1


def test_doctor_names_what_is_wrong_and_fails(settings: Any, db: None) -> None:
    out = StringIO()
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"ISUER": "x"}
    with pytest.raises(CommandError, match="to mend"):
        call_command("pkce_doctor", stdout=out, no_color=True)
    assert "pkce_auth.E002" in out.getvalue()
    assert "Did you mean 'ISSUER'?" in out.getvalue()
    assert "pkce_auth.W020" in out.getvalue()


def test_doctor_survives_settings_that_can_not_be_read(settings: Any, db: None) -> None:
    settings.PKCE_AUTH = {}
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("pkce_doctor", "--json", stdout=out)
    assert any("E001" in problem for problem in json.loads(out.getvalue())["problems"])
