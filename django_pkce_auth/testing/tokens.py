"""Access tokens for tests, through the real tables: what a guard lets in is what it lets in in production."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import router
from django.test import AsyncClient as AsyncTestClient
from django.test import Client as TestClient
from django.utils import timezone

from .. import conf
from ..protocol.scopes import format_scope
from ..secrets import ACCESS_TOKEN, digest, generate
from ..server.models import AccessToken, Client, TokenFamily

TEST_CLIENT_ID = "test-client"


def issue_access_token(
    user: Any,
    scopes: Iterable[str],
    *,
    resource: str | Iterable[str] = (),
    client: Client | None = None,
    expires_in: float = 3600,
) -> str:
    """Return an access token of ``user`` (None: the client acts for itself) for ``client``, or for one made on the fly.

    ``resource`` is what it is bound to, one or several of ``PKCE_AUTH["RESOURCES"]``, each by its identifier or its
    path on this host; without one it is for this project as a whole, and not for what those name. ``expires_in`` is in
    seconds; a negative one gives a token that has expired. The token's family can be found by ``AccessToken``, to
    revoke it in a test.
    """
    using, now = router.db_for_write(TokenFamily), timezone.now()
    if client is None:
        made = {"name": "Test client", "type": Client.Type.CONFIDENTIAL}
        client, _ = Client.objects.using(using).get_or_create(client_id=TEST_CLIENT_ID, defaults=made)
    columns = {"client": client, "user": user, "scope": format_scope(scopes), "resource": _bound(resource)}
    family = TokenFamily.objects.using(using).create(**columns)
    raw = generate(ACCESS_TOKEN)
    AccessToken(digest=digest(raw), family=family, created_at=now, expires_at=now + timedelta(seconds=expires_in)).save(
        force_insert=True, using=using
    )
    return raw


def _bound(resource: str | Iterable[str]) -> str:
    resources = conf.settings().resources
    named = [resources.meant_by(key) for key in ([resource] if isinstance(resource, str) else resource)]
    return " ".join(each.identifier for each in named)


def bearer_client(
    user: Any,
    scopes: Iterable[str],
    *,
    resource: str | Iterable[str] = (),
    client: Client | None = None,
    expires_in: float = 3600,
) -> TestClient:
    """Return a ``django.test.Client`` whose every request carries such a token."""
    raw = issue_access_token(user, scopes, resource=resource, client=client, expires_in=expires_in)
    return TestClient(headers={"Authorization": f"Bearer {raw}"})


def async_bearer_client(
    user: Any,
    scopes: Iterable[str],
    *,
    resource: str | Iterable[str] = (),
    client: Client | None = None,
    expires_in: float = 3600,
) -> AsyncTestClient:
    """Like ``bearer_client``, for async views. Make it in sync code: it writes to the database."""
    raw = issue_access_token(user, scopes, resource=resource, client=client, expires_in=expires_in)
    # Headers given at the start get WSGI's names, also in the async client, whose requests do not know those.
    return AsyncTestClient(authorization=f"Bearer {raw}")
