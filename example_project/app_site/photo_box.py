"""Calls to Photo Box's API on behalf of a user, as a project of yours would make them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2

from django_pkce_auth.client.models import Connection
from django_pkce_auth.conf import settings

PROVIDER = "photo-box"


class Unreachable(Exception):
    """Photo Box did not answer, or not with what was asked for."""


def get(connection: Connection, path: str) -> httpx2.Response:
    """Ask the API; raises Unreachable, and what ``access_token`` raises."""
    headers = {"Authorization": f"Bearer {connection.access_token()}"}
    address = settings().providers[PROVIDER].api_base_url
    try:
        response = httpx2.get(f"{address}{path}", headers=headers, timeout=5, trust_env=False)
        response.raise_for_status()
    except httpx2.HTTPError as error:
        raise Unreachable(type(error).__name__) from None
    return response


def album(connection: Connection) -> dict[str, Any]:
    answer = get(connection, "/photos").json()
    if not isinstance(answer, dict):
        raise Unreachable("no JSON object")
    return answer


def refresh_now(connection: Connection, now: datetime) -> None:
    """Get a new access token at once, as ``access_token()`` does by itself when the old one runs out."""
    connection.access_token_expires_at = now
    connection.save(update_fields=["access_token_expires_at"])
    connection.access_token()
