"""Photo Box's home page, and its API: each view behind ``require_scopes`` acts for the user of the token."""

from __future__ import annotations

from collections import Counter

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from django_pkce_auth.resource import require_scopes

from .photos import album_of


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "server_site/home.html")


@require_scopes("profile")
def me(request: HttpRequest) -> HttpResponse:
    """Who the token's user is; ``sub`` stays the same for good, the name may change."""
    return JsonResponse({"sub": str(request.user.pk), "preferred_username": request.user.get_username()})


@require_scopes("photos")
def photos(request: HttpRequest) -> HttpResponse:
    owner = request.user.get_username()
    items = [
        {
            "name": photo.name,
            "title": photo.title,
            "taken_on": photo.taken_on.isoformat(),
            "picture": reverse("picture", args=[photo.name]),
        }
        for photo in album_of(owner)
    ]
    return JsonResponse({"owner": owner, "photos": items})


@require_scopes("photos")
async def calendar(request: HttpRequest) -> HttpResponse:
    """How many photos were taken in each month; an async view takes its user from ``auser``."""
    owner = await request.auser()
    return JsonResponse(Counter(photo.taken_on.strftime("%Y-%m") for photo in album_of(owner.get_username())))


@require_scopes("photos")
def picture(request: HttpRequest, name: str) -> HttpResponse:
    for photo in album_of(request.user.get_username()):
        if photo.name == name:
            return HttpResponse(photo.png(), content_type="image/png")
    raise Http404
