"""Calls to Photo Box's API on behalf of a user, as a project of yours would make them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2

from django_pkce_auth.client.models import Connection

PROVIDER = "photo-box"
# How each part of the API is written; the guard is the same.
APIS = {
    "me": "a plain view",
    "calendar": "an async view",
    "albums/mine": "Django REST framework",
    "orders/": "django-ninja",
    "orders/latest": "django-ninja, async",
}


class Unreachable(Exception):
    """Photo Box did not answer, or not with what was asked for."""


def get(connection: Connection, path: str) -> httpx2.Response:
    """Ask the API; raises Unreachable, and what ``connection.client()`` raises."""
    try:
        # It carries the token, keeps it valid, and sends it to no other origin.
        with connection.client() as api:
            response = api.get(path)
        response.raise_for_status()
    except httpx2.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    return response


def album(connection: Connection) -> dict[str, Any]:
    answer = get(connection, "photos").json()
    if not isinstance(answer, dict):
        raise Unreachable("no JSON object")
    return answer


def every_api(connection: Connection) -> list[dict[str, str]]:
    return [
        {"path": f"/api/{path}", "how": how, "answer": get(connection, path).text[:300]} for path, how in APIS.items()
    ]


def refresh_now(connection: Connection, now: datetime) -> None:
    """Get a new access token at once, as ``access_token()`` does by itself when the old one runs out."""
    connection.access_token_expires_at = now
    connection.save(update_fields=["access_token_expires_at"])
    connection.access_token()
