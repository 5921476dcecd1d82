"""Access tokens for tests, through the real tables: what a guard lets in is what it lets in in production."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import router
from django.test import AsyncClient as AsyncTestClient
from django.test import Client as TestClient
from django.utils import timezone

from ..protocol.scopes import format_scope
from ..secrets import ACCESS_TOKEN, digest, generate
from ..server.models import AccessToken, Client, TokenFamily

TEST_CLIENT_ID = "test-client"


def issue_access_token(
    user: Any, scopes: Iterable[str], *, client: Client | None = None, expires_in: float = 3600
) -> str:
    """Return an access token of ``user`` (None: the client acts for itself) for ``client``, or for one made on the fly.

    ``expires_in`` is in seconds; a negative one gives a token that has expired. The token's family can be found by
    ``AccessToken``, to revoke it in a test.
    """
    using, now = router.db_for_write(TokenFamily), timezone.now()
    if client is None:
        made = {"name": "Test client", "type": Client.Type.CONFIDENTIAL}
        client, _ = Client.objects.using(using).get_or_create(client_id=TEST_CLIENT_ID, defaults=made)
    family = TokenFamily.objects.using(using).create(client=client, user=user, scope=format_scope(scopes))
    raw = generate(ACCESS_TOKEN)
    AccessToken(digest=digest(raw), family=family, created_at=now, expires_at=now + timedelta(seconds=expires_in)).save(
        force_insert=True, using=using
    )
    return raw


def bearer_client(
    user: Any, scopes: Iterable[str], *, client: Client | None = None, expires_in: float = 3600
) -> TestClient:
    """Return a ``django.test.Client`` whose every request carries such a token."""
    raw = issue_access_token(user, scopes, client=client, expires_in=expires_in)
    return TestClient(headers={"Authorization": f"Bearer {raw}"})


def async_bearer_client(
    user: Any, scopes: Iterable[str], *, client: Client | None = None, expires_in: float = 3600
) -> AsyncTestClient:
    """Like ``bearer_client``, for async views. Make it in sync code: it writes to the database."""
    raw = issue_access_token(user, scopes, client=client, expires_in=expires_in)
    # Headers given at the start get WSGI's names, also in the async client, whose requests do not know those.
    return AsyncTestClient(authorization=f"Bearer {raw}")
