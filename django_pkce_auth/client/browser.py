"""The short cookie that ties attempts to a browser: one random value, whatever the number of tabs or sessions."""

from __future__ import annotations

import re
from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import add_never_cache_headers

from ..conf import Settings
from ..conf import settings as current_settings
from ..secrets import generate
from .attempts import LIFETIME

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def cookie_name(settings: Settings) -> str:
    """``__Host-`` keeps other hosts of the domain from setting it; browsers accept that name over https only."""
    return "__Host-pkce_auth" if settings.issuer.startswith("https:") else "pkce_auth"


def read(request: HttpRequest, settings: Settings) -> str | None:
    """Return the cookie's value if the browser sent exactly one of this very name.

    Read from the header itself: Django strips Unicode spaces from names, so that another host of the domain could
    plant a cookie that browsers do not hold to the rules of ``__Host-`` and Django takes for ours.
    """
    pairs = (pair.strip(" \t").partition("=") for pair in request.META.get("HTTP_COOKIE", "").split(";"))
    name = cookie_name(settings)
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 and _VALUE.match(values[0]) else None


def read_or_new(request: HttpRequest, settings: Settings) -> str:
    """Return this browser's value; a new one is kept on the request for ``remember`` to send."""
    value = getattr(request, "_pkce_auth_browser", None) or read(request, settings) or generate()
    request._pkce_auth_browser = value  # type: ignore[attr-defined]
    return str(value)


def remember(request: HttpRequest, response: HttpResponseBase, settings: Settings) -> None:
    """Set the cookie for as long as an attempt lives, if this request began one."""
    value = getattr(request, "_pkce_auth_browser", None)
    if value is not None:
        response.set_cookie(
            cookie_name(settings),
            value,
            max_age=LIFETIME,
            path="/",
            secure=settings.issuer.startswith("https:"),
            httponly=True,
            samesite="Lax",
        )


class ConnectLinkMiddleware:
    """Needed only where a page of the project holds a finished authorization URL: it sends the attempt's cookie."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request._pkce_auth_sends_cookie = True  # type: ignore[attr-defined]
        if iscoroutinefunction(self.get_response):
            return self._acall(request)  # type: ignore[return-value]
        return self._finish(request, self.get_response(request))

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        return self._finish(request, await self.get_response(request))  # type: ignore[misc]

    def _finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if getattr(request, "_pkce_auth_browser", None) is not None:
            remember(request, response, current_settings())
            # The page holds a state that is this browser's alone.
            add_never_cache_headers(response)
        return response
