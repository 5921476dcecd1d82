"""The fake provider over real HTTP: our client side connects to it as to any other server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from django_pkce_auth.client.models import Connection
from django_pkce_auth.testing.server import serve


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[Any]:
    server = serve(0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    fake = server.provider  # type: ignore[attr-defined]
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"PROVIDERS": {"fake": fake.settings}}
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def test_account_is_connected_over_http(provider: Any, signed_in: Browser) -> None:
    link = signed_in.post("/connect/fake/")["Location"]
    with httpx2.Client(trust_env=False) as visitor:
        assert "fake-client asks for: profile" in visitor.get(link).text
        back = visitor.post(link, data={"decision": "approve", "sub": "42", "name": "Zoe"}).headers["Location"]
    assert signed_in.get(back.removeprefix("https://testserver")).status_code == 302
    connection = Connection.objects.get()
    assert (connection.subject, connection.label) == ("42", "Zoe")
    assert connection.access_token()


@pytest.mark.parametrize(
    ("typed", "told"),
    [({}, {}), ({"email": ""}, {}), ({"email": "zoe@x.example"}, {"email": "zoe@x.example", "email_verified": True})],
)
def test_account_may_have_an_address(
    provider: Any, signed_in: Browser, typed: dict[str, str], told: dict[str, Any]
) -> None:
    link = signed_in.post("/connect/fake/")["Location"]
    with httpx2.Client(trust_env=False) as visitor:
        assert 'name="email"' in visitor.get(link).text
        visitor.post(link, data={"decision": "approve", "sub": "42", "name": "Zoe", **typed})
    assert provider.userinfo == {"sub": "42", "name": "Zoe", **told}


def test_denial_comes_back(provider: Any, signed_in: Browser) -> None:
    link = signed_in.post("/connect/fake/")["Location"]
    with httpx2.Client(trust_env=False) as visitor:
        back = visitor.post(link, data={"decision": "deny"}).headers["Location"]
        assert visitor.post(link.replace("S256", "plain"), data={"decision": "approve"}).status_code == 400
    assert "You did not allow access" in signed_in.get(back.removeprefix("https://testserver")).content.decode()


def test_command_refuses_to_run_in_production(settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="under DEBUG only"):
        call_command("pkce_fake_provider")


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_command_says_what_is_no_port(settings: Any, port: str) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match=rf"Port {port} can't be used: .*0-65535.*Choose another --port"):
        call_command("pkce_fake_provider", f"--port={port}")
