"""``BearerMiddleware``: every view sees whose token a request carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from ..protocol import bearer
from ..protocol.errors import OAuthError
from .grant import Refused
from .guard import Requirement, acheck, check, refusal

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class BearerMiddleware:
    """Set ``request.oauth``: the grant of a valid access token, or None; ``request.user`` is then who acts.

    A token that is not valid is refused as the guards refuse it, and never sent to a log-in page. It must be for this
    project, or for the resource whose path the request lies below. Views that guard themselves are left to that. It
    stands before ``CsrfViewMiddleware``: a request with a valid token can't be forged, and needs no CSRF token.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            self.process_view = self._process_view_async  # type: ignore[method-assign,assignment]

    def __call__(self, request: HttpRequest) -> Answer:
        request.oauth = None  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if not _concerns(request, view):
            return None
        try:
            check(request, Requirement())
        except Refused as refused:
            return refusal(refused)
        _trust(request)
        return None

    async def _process_view_async(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if not _concerns(request, view):
            return None
        try:
            await acheck(request, Requirement())
        except Refused as refused:
            return refusal(refused)
        _trust(request)
        return None


def _concerns(request: HttpRequest, view: Any) -> bool:
    """True where the request carries a bearer token, and the view does not look at it itself."""
    view_class = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if getattr(view, "oauth_guarded", False) or getattr(view_class, "resource", None):
        return False
    try:
        return bearer.decode(request.META.get("HTTP_AUTHORIZATION")) is not None
    except OAuthError:
        return True


def _trust(request: HttpRequest) -> None:
    # What CsrfViewMiddleware itself sets once it is content.
    request.csrf_processing_done = True  # type: ignore[attr-defined]
