"""Cross-origin requests: for the web origins that a client registered, and without cookies; authorize never."""

from __future__ import annotations

import re

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from .models import Client

PREFLIGHT_SECONDS = 600

# Also keeps "null", which every sandboxed page sends, from ever being an origin.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]{1,250}\Z")


def preflight(request: HttpRequest) -> HttpResponse:
    """Answer OPTIONS: it names no client, so any client's registered origin may go on to ask."""
    response = HttpResponse(status=204)
    response["Allow"] = "POST, OPTIONS"
    patch_vary_headers(response, ["Origin"])
    origin = _origin(request)
    if origin and _is_registered(origin, Client.objects.primary().filter(web_origins__contains=origin)):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = "POST"
        response["Access-Control-Allow-Headers"] = "authorization, content-type"
        response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response


def is_allowed(request: HttpRequest, *, client_id: str) -> bool:
    """Return whether this very client registered the origin of the page that sent this request.

    One query, and only for requests that a browser sent from another site.
    """
    origin = _origin(request)
    return bool(origin) and _is_registered(origin, Client.objects.primary().filter(client_id=client_id))


def allow_origin(request: HttpRequest, response: HttpResponse, *, allowed: bool) -> None:
    """Let the page that sent this request read the answer, if it is ``allowed`` to."""
    patch_vary_headers(response, ["Origin"])
    if allowed:
        response["Access-Control-Allow-Origin"] = _origin(request)
        # The brake's answer is of no use to a page that can't read for how long.
        response["Access-Control-Expose-Headers"] = "Retry-After"


def _origin(request: HttpRequest) -> str:
    """Return the header's value, empty where it is no origin."""
    origin = request.headers.get("Origin", "")
    return origin if _ORIGIN.match(origin) else ""


def _is_registered(origin: str, clients: QuerySet[Client]) -> bool:
    listed = clients.filter(disabled_at=None).values_list("web_origins", flat=True)
    return any(origin in origins.split() for origins in listed)
