"""``BearerMiddleware``: every view sees whose token a request carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from ..protocol import bearer
from ..protocol.errors import ACCESS_DENIED, OAuthError
from .grant import Refused
from .guard import Requirement, acheck, check, refusal, varies

Answer = HttpResponseBase | Awaitable[HttpResponseBase]
_OURS: Final = f"{__name__.partition('.')[0]}."


class BearerMiddleware:
    """Set ``request.oauth``: the grant of a valid access token, or None; ``request.user`` is then who acts.

    A token that is not valid is refused as the guards refuse it, and never sent to a log-in page. It must be for this
    project, or for the resource whose path the request lies below. Views that guard themselves are left to that. It
    stands before ``CsrfViewMiddleware``: a request with a valid token can't be forged, and needs no CSRF token. Where
    a view would send one to the log-in page, since its token has no user, or not one who may, the answer is 403.

    No token opens our own pages or Django admin: who is signed in decides there what tokens may do.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
            self.process_view = self._process_view_async  # type: ignore[method-assign,assignment]

    def __call__(self, request: HttpRequest) -> Answer:
        request.oauth = None  # type: ignore[attr-defined]
        if self.is_async:
            return self._call_async(request)
        return _answered(request, cast(HttpResponseBase, self.get_response(request)))

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        return _answered(request, await cast(Awaitable[HttpResponseBase], self.get_response(request)))

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
    """True where the request carries a bearer token that the view may be opened by and does not look at itself."""
    if not _carries_token(request) or _is_for_people(request, view):
        return False
    return not getattr(view, "oauth_guarded", False) and not _authenticates_itself(view)


def _is_for_people(request: HttpRequest, view: Any) -> bool:
    """True for Django admin and our own views. Programs call some of those, but none with an access token."""
    match = request.resolver_match
    in_admin = match is not None and "admin" in match.app_names
    # With a token for one scope a client would allow itself all others at the consent page.
    return in_admin or str(getattr(view, "__module__", "")).startswith(_OURS)


def _carries_token(request: HttpRequest) -> bool:
    try:
        return bearer.decode(request.META.get("HTTP_AUTHORIZATION")) is not None
    except OAuthError:
        return True


def _authenticates_itself(view: Any) -> bool:
    """True for a view of Django REST framework that our own class authenticates."""
    declared = getattr(getattr(view, "cls", None), "authentication_classes", ())
    classes = getattr(view, "initkwargs", {}).get("authentication_classes", declared)
    return any(getattr(each, "oauth_guarded", False) for each in classes)


def _trust(request: HttpRequest) -> None:
    # What CsrfViewMiddleware itself sets once it is content.
    request.csrf_processing_done = True  # type: ignore[attr-defined]


def _answered(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    answer: HttpResponseBase = varies(_never_to_log_in(request, response))
    return answer


def _never_to_log_in(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the response, or 403 in place of a log-in page, which no client of an API can use."""
    if response.status_code != 302 or not _carries_token(request):
        return response
    if not _leads_to_log_in(response["Location"], request):
        return response
    return refusal(Refused(403, OAuthError(ACCESS_DENIED, "Who the access token stands for may not do this.")))


def _leads_to_log_in(location: str, request: HttpRequest) -> bool:
    try:
        target = urlsplit(location)
    except ValueError:
        return False
    # A view may have a log-in page of its own, which then is told where to lead back to.
    back = QueryDict(target.query).get(REDIRECT_FIELD_NAME, "")
    return target.path == urlsplit(resolve_url(settings.LOGIN_URL)).path or back.endswith(request.get_full_path())
