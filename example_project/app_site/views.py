"""Postcards' pages: home, and the photos that it fetches from Photo Box for the signed-in user."""

from __future__ import annotations

from hashlib import sha256

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from django_pkce_auth.client.api import InsufficientScope
from django_pkce_auth.client.errors import ConnectError, ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import Connection

from . import photo_box


@never_cache
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "app_site/home.html", {"provider": photo_box.PROVIDER, "connection": _connection(request)})


@never_cache
@login_required
def photos(request: HttpRequest) -> HttpResponse:
    """Show the album; where that can't be done, say what the user can do about it."""
    connection = _connection(request)
    context: dict[str, object] = {"provider": photo_box.PROVIDER, "connection": connection}
    if connection is None:
        return render(request, "app_site/photos.html", context)
    try:
        context["album"] = photo_box.album(connection)
    except ReconnectRequired:
        context["reconnect"] = True
    except InsufficientScope as error:
        context["refused"] = error
    except (ProviderUnavailable, photo_box.Unreachable):
        context["unreachable"] = True
    else:
        context["fingerprint"] = sha256(connection.access_token().encode()).hexdigest()[:8]
    return render(request, "app_site/photos.html", context)


@never_cache
@login_required
def apis(request: HttpRequest) -> HttpResponse:
    """Show what each part of the API answers to the same token."""
    connection = _connection(request)
    context: dict[str, object] = {"provider": photo_box.PROVIDER, "connection": connection}
    if connection is not None:
        try:
            context["answers"] = photo_box.every_api(connection)
        except InsufficientScope as error:
            context["refused"] = error
        except (ConnectError, photo_box.Unreachable):
            context["unreachable"] = True
    return render(request, "app_site/apis.html", context)


@login_required
def picture(request: HttpRequest, name: str) -> HttpResponse:
    connection = _connection(request)
    if connection is None:
        raise Http404
    try:
        answer = photo_box.get(connection, f"photos/{name}.png")
    except (ConnectError, photo_box.Unreachable):
        raise Http404 from None
    return HttpResponse(answer.content, content_type="image/png")


@require_POST
@login_required
def refresh(request: HttpRequest) -> HttpResponse:
    connection = _connection(request)
    if connection is not None:
        try:
            photo_box.refresh_now(connection, timezone.now())
            messages.success(request, "Postcards got a new access token from Photo Box.")
        except ConnectError as error:
            messages.error(request, str(error))
    return redirect("photos")


def _connection(request: HttpRequest) -> Connection | None:
    if not request.user.is_authenticated:
        return None
    return Connection.objects.filter(user=request.user, provider=photo_box.PROVIDER).order_by("pk").first()
