"""What a test needs to see of a connection, and to do with it, in the process that has it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from django_pkce_auth.client.errors import ConnectError
from django_pkce_auth.client.models import Connection


@login_required
def stored(request: HttpRequest, provider: str) -> HttpResponse:
    """The user's connections to the provider, as they are in the database."""
    return JsonResponse({"connections": [_members(row) for row in _rows(request, provider)]})


@login_required
def used(request: HttpRequest, provider: str) -> HttpResponse:
    """A token for a call to the provider's API."""
    return JsonResponse({"access_token": _rows(request, provider)[0].access_token()})


@login_required
def refreshed(request: HttpRequest, provider: str) -> HttpResponse:
    """The same, after the one at hand has run out."""
    connection = _rows(request, provider)[0]
    connection.access_token_expires_at = timezone.now()
    connection.save(update_fields=["access_token_expires_at"])
    try:
        return JsonResponse({"access_token": connection.access_token()})
    except ConnectError as error:
        return JsonResponse({"error": type(error).__name__})


def _rows(request: HttpRequest, provider: str) -> list[Connection]:
    return list(Connection.objects.filter(user=request.user, provider=provider).order_by("pk"))


def _members(row: Connection) -> dict[str, Any]:
    until = row.access_token_expires_at
    return {
        "pk": row.pk,
        "status": row.status,
        "issuer": row.issuer,
        "subject": row.subject,
        "label": row.label,
        "scope": row.scope,
        "access_token": row.raw_access_token,
        "refresh_token": row.raw_refresh_token,
        "seconds_left": None if until is None else (until - timezone.now()).total_seconds(),
    }
