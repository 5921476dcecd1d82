"""The fake provider is strict where a good server is, and bad where a test wants it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client as Browser
from django.test import override_settings
from django.utils import timezone

from django_pkce_auth.client import refresh
from django_pkce_auth.client.api import InsufficientScope
from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.testing import FakeProvider
from django_pkce_auth.testing import fake_provider as set_up
from django_pkce_auth.testing.provider import CLIENT_ID, CLIENT_SECRET


def due(connection: Connection) -> Connection:
    Connection.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
    return Connection.objects.get(pk=connection.pk)


def token_request(provider: FakeProvider, secret: str = CLIENT_SECRET, **form: str) -> int:
    fields = {"client_id": CLIENT_ID, "client_secret": secret, **form}
    return provider.request("POST", "https://fake-provider.example/token", form=list(fields.items())).status


def test_connect_in_one_line(fake_provider: FakeProvider, signed_in: Browser) -> None:
    connection = fake_provider.connect(signed_in)
    assert (connection.status, connection.label, connection.scopes) == ("active", "Fay Ke", ("profile",))
    assert [request.path for request in fake_provider.requests] == ["/token", "/userinfo"]


def test_log_in_in_one_line(fake_provider: FakeProvider, db: None) -> None:
    browser = Browser()
    connection = fake_provider.log_in(browser)
    assert browser.session["_auth_user_id"] == str(connection.user.pk)


def test_refresh_token_is_rotated_and_the_old_one_refused(fake_provider: FakeProvider, signed_in: Browser) -> None:
    connection = fake_provider.connect(signed_in)
    old = connection.raw_refresh_token
    first = due(connection).access_token()
    assert first != connection.raw_access_token
    assert token_request(fake_provider, grant_type="refresh_token", refresh_token=old) == 400


@pytest.mark.parametrize("change", [{"code_verifier": "x" * 43}, {"redirect_uri": "https://x.example/"}, {"code": "x"}])
def test_code_is_given_for_every_proof_only(
    change: dict[str, str], fake_provider: FakeProvider, signed_in: Browser
) -> None:
    begun = signed_in.post("/connect/fake/")
    fake_provider.authorize(begun["Location"])
    (code, asked) = next(iter(fake_provider._codes.items()))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"], **change}
    assert token_request(fake_provider, **({"code_verifier": "y" * 43} | form)) == 400


def test_wrong_client_secret_is_refused(fake_provider: FakeProvider) -> None:
    assert token_request(fake_provider, "wrong", grant_type="authorization_code", code="x") == 401


def test_scripted_failures_come_once(fake_provider: FakeProvider, signed_in: Browser, monkeypatch: Any) -> None:
    monkeypatch.setattr(refresh, "BACKOFF_SECONDS", ())
    connection = due(fake_provider.connect(signed_in))
    fake_provider.answer_next(status=503)
    with pytest.raises(ProviderUnavailable):
        connection.access_token()
    fake_provider.time_out_next()
    with pytest.raises(ProviderUnavailable):
        connection.access_token()
    assert connection.access_token()


def test_header_of_a_scripted_answer_is_written_in_any_way(fake_provider: FakeProvider, signed_in: Browser) -> None:
    connection = due(fake_provider.connect(signed_in))
    fake_provider.answer_next(status=429, headers={"Retry-After": "7"})
    with pytest.raises(ProviderUnavailable) as refused:
        connection.access_token()
    assert refused.value.retry_after == 7


def test_access_that_was_ended_needs_the_user(fake_provider: FakeProvider, signed_in: Browser) -> None:
    connection = due(fake_provider.connect(signed_in))
    fake_provider.forget_refresh_tokens()
    with pytest.raises(ReconnectRequired):
        connection.access_token()


def test_tokens_can_be_changed(fake_provider: FakeProvider, signed_in: Browser) -> None:
    fake_provider.change_tokens(refresh_token=None, expires_in=None, expires=60, scope="less")
    connection = fake_provider.connect(signed_in)
    assert connection.raw_refresh_token == ""
    assert connection.scopes == ("less",)
    assert connection.access_token_expires_at is not None
    assert connection.access_token_expires_at < timezone.now() + timedelta(seconds=61)


def test_denial_is_walked_too(fake_provider: FakeProvider, signed_in: Browser) -> None:
    back = fake_provider.authorize(signed_in.post("/connect/fake/")["Location"], error="access_denied")
    page = signed_in.get(back.removeprefix("https://testserver"))
    assert "You did not allow access" in page.content.decode()
    assert not Connection.objects.exists()


def test_settings_are_as_before_afterwards(settings: Any, db: None) -> None:
    before = settings.PKCE_AUTH
    with set_up("other") as provider:
        assert settings.PKCE_AUTH["PROVIDERS"]["other"]["client_id"] == CLIENT_ID
        assert "acme" in settings.PKCE_AUTH["PROVIDERS"]
        assert provider.requests == []
    assert settings.PKCE_AUTH is before


def test_calls_by_the_client_are_answered_by_its_api(fake_provider: FakeProvider, signed_in: Browser) -> None:
    fake_provider.api = {"photos": [{"id": 1}]}
    connection = fake_provider.connect(signed_in)
    with connection.client() as api:
        assert api.get("photos", params={"page": "2"}).json() == [{"id": 1}]
        assert api.post("albums", json={"title": "Sea"}).status_code == 404
    read, posted = fake_provider.requests[-2:]
    assert (read.method, read.path, read.query) == ("GET", "/api/photos", "page=2")
    assert (posted.method, posted.path, posted.body) == ("POST", "/api/albums", b'{"title":"Sea"}')
    assert connection.access_token() not in repr(read)


@pytest.mark.django_db(transaction=True)
def test_calls_by_the_async_client_are_answered_too(fake_provider: FakeProvider, signed_in: Browser) -> None:
    fake_provider.api = {"photos": []}
    connection = fake_provider.connect(signed_in)

    async def call() -> Any:
        async with connection.async_client() as api:
            return (await api.get("photos")).json()

    assert async_to_sync(call)() == []


def test_call_with_a_token_that_the_provider_ended_is_made_again_with_a_new_one(
    fake_provider: FakeProvider, signed_in: Browser
) -> None:
    fake_provider.api = {"me": "Fay"}
    connection = fake_provider.connect(signed_in)
    fake_provider._access_tokens.clear()
    with connection.client() as api:
        assert api.get("me").json() == "Fay"
    assert [request.path for request in fake_provider.requests[-3:]] == ["/api/me", "/token", "/api/me"]
    fake_provider._access_tokens.clear()
    fake_provider.forget_refresh_tokens()
    with connection.client() as api, pytest.raises(ReconnectRequired):
        api.get("me")


def test_calls_follow_the_script_as_everything_else_does(fake_provider: FakeProvider, signed_in: Browser) -> None:
    with fake_provider.connect(signed_in).client() as api:
        fake_provider.time_out_next()
        with pytest.raises(httpx2.ReadTimeout):
            api.get("photos")
        fake_provider.answer_next(
            status=403, headers={"www-authenticate": 'Bearer error="insufficient_scope", scope="photos"'}
        )
        with pytest.raises(InsufficientScope) as refused:
            api.get("photos")
    assert refused.value.missing == ("photos",)


@pytest.mark.django_db
def test_calls_to_another_provider_are_the_projects_own(fake_provider: FakeProvider) -> None:
    other = {"issuer": "https://beta.example", "api_base_url": "http://127.0.0.1:1/", "client_id": "us"}
    changed = {**settings.PKCE_AUTH, "PROVIDERS": {**settings.PKCE_AUTH["PROVIDERS"], "beta": other}}
    connection = Connection(provider="beta", raw_access_token="t", status=Connection.Status.ACTIVE)
    with override_settings(PKCE_AUTH=changed), connection.client() as api, pytest.raises(httpx2.ConnectError):
        api.get("photos", auth=None)
    assert not fake_provider.requests
