"""Storing what a flow brought, where another request stored the same account since we looked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth.client import connections
from django_pkce_auth.client.models import Connection
from tests.client.acme import Acme, connect


def test_account_that_another_request_stored_meanwhile_is_found(
    signed_in: Browser, connection: Connection, acme: Acme, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Connection | None] = []

    def look(*arguments: Any) -> Connection | None:
        looks.append(existing(*arguments) if looks else None)
        return looks[-1]

    existing = connections._existing
    monkeypatch.setattr(connections, "_existing", look)
    acme.tokens(access_token="second-access-token")
    assert connect(signed_in).status_code == 302
    after = Connection.objects.get()
    assert looks == [None, after]
    assert (after.pk, after.user, after.raw_access_token) == (connection.pk, alice, "second-access-token")
    assert after.updated_at > connection.updated_at
