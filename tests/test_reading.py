"""Two lookups find what each would find by itself: in one statement on PostgreSQL, and in two elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.compiled import Select
from django_pkce_auth.reading import read
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import AccessToken, Client
from django_pkce_auth.statement import Slot
from tests.four_steps import App

CLIENT = Select(
    lambda: Client.objects.filter(client_id=Slot(Client, "client_id"), type="confidential"),
    values=["secrets__digest", "created_at"],
    instances=[""],
)
TOKEN = Select(
    lambda: AccessToken.objects.filter(digest=Slot(AccessToken, "digest")),
    values=["created_at", "scope"],
    instances=["family", "family__client"],
)


def look_up(client_id: str, digest: bytes) -> tuple[list[Any], list[Any]]:
    rows, others = read("default", (CLIENT, {"client_id": client_id}), (TOKEN, {"digest": digest}))
    return rows, others()


@pytest.fixture
def token(app: App, tokens: dict[str, Any]) -> AccessToken:
    return AccessToken.objects.select_related("family__client").get()


@pytest.mark.parametrize("secrets", [1, 3])
def test_both_are_found(app: App, token: AccessToken, secrets: int) -> None:
    for _ in range(secrets - 1):
        add_secret(app.client, now=timezone.now())
    with CaptureQueriesContext(connection) as captured:
        rows, others = look_up(app.client.client_id, token.digest)
        assert [row.instance("") for row in rows] == [app.client] * secrets
        (other,) = others
        assert other.instance("family").client == app.client
    assert len(captured) == (1 if connection.vendor == "postgresql" else 2)
    digests = app.client.secrets.order_by("digest").values_list("digest", flat=True)
    assert sorted(row.values for row in rows) == [[each, app.client.created_at] for each in digests]
    assert other.values == [token.created_at, None]
    assert rows[0].instance("").name == app.client.name


def test_second_is_empty_where_there_is_none(app: App, token: AccessToken) -> None:
    rows, others = look_up(app.client.client_id, b"?" * 32)
    assert [row.instance("") for row in rows] == [app.client]
    assert others == []


def test_second_is_found_without_the_first(app: App, token: AccessToken) -> None:
    rows, (other,) = look_up("unknown", token.digest)
    assert rows == []
    assert other.values == [token.created_at, None]
