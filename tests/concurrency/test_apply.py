"""Servers of one deployment that start at the same moment, each of which applies the file of clients."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from django_pkce_auth.server.models import Client, ClientSecret, RedirectURI
from tests.concurrency.race import at_once

SERVERS = 6
CLIENTS = """
[[client]]
client_id = "photo-app"
secret_env = "PHOTO_APP_SECRET"
redirect_uris = ["https://app.example/callback"]

[[client]]
client_id = "phone-app"
type = "public"
redirect_uris = ["https://phone.example/callback"]
"""


@pytest.mark.parametrize("known", [False, True], ids=["first deployment", "new secret and redirect URI"])
def test_file_that_every_server_applies_is_applied_once(
    known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("a transaction that began by reading can't wait for its turn to write")
    file = tmp_path / "clients.toml"
    file.write_text(CLIENTS)
    monkeypatch.setenv("PHOTO_APP_SECRET", "0123456789abcdef" * 3)
    if known:
        for client_id, kind in (("photo-app", "confidential"), ("phone-app", "public")):
            Client.objects.create(client_id=client_id, name=client_id, type=kind)
    at_once(*[lambda: call_command("pkce_client", "apply", str(file), stdout=StringIO())] * SERVERS)
    assert [model.objects.count() for model in (Client, RedirectURI, ClientSecret)] == [2, 2, 1]
