"""``@require_scopes("read")`` for function views, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from .. import conf
from ..error_reports import hide_secrets
from ..protocol.scopes import is_scope_token
from .bearer import Grant, Refused, verify

View = Callable[..., Any]


def require_scopes(*scopes: str) -> Callable[[View], View]:
    """Let a request in only with an access token that has every one of ``scopes`` (RFC 6750).

    Behind it ``request.oauth`` is a ``Grant`` (client, user or None, scopes) and ``request.user`` who acts. A request
    without a fitting token gets the RFC's challenge: 401, 403 or 400, never a redirect to a log-in page. The view
    needs no CSRF token: a browser never sends an Authorization header by itself. Raises ValueError for no scope.
    """
    if not scopes or not all(isinstance(scope, str) and is_scope_token(scope) for scope in scopes):
        raise ValueError(f"require_scopes takes one scope or more, such as require_scopes('read'); it got {scopes!r}.")

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                try:
                    grant = await sync_to_async(_verify)(request, scopes)
                except Refused as refused:
                    return refusal(refused)
                _admit(request, grant)
                return await view(request, *args, **kwargs)

            return csrf_exempt(guarded_async)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                grant = _verify(request, scopes)
            except Refused as refused:
                return refusal(refused)
            _admit(request, grant)
            return view(request, *args, **kwargs)

        return csrf_exempt(guarded)

    return decorate


def refusal(refused: Refused) -> HttpResponse:
    response: HttpResponse = JsonResponse(refused.members(), status=refused.status)
    response["WWW-Authenticate"] = refused.challenge
    response["Cache-Control"] = "no-store"
    return response


def _verify(request: HttpRequest, scopes: tuple[str, ...]) -> Grant:
    authorization, registry = request.META.get("HTTP_AUTHORIZATION"), conf.settings().scopes
    try:
        return verify(authorization, scopes=scopes, registry=registry, now=timezone.now())
    except Refused:
        raise
    except Exception:
        hide_secrets(request)
        raise


def _admit(request: HttpRequest, grant: Grant) -> None:
    user = grant.acting_user
    request.oauth = grant  # type: ignore[attr-defined]
    request.user = user

    async def auser() -> Any:
        return user

    request.auser = auser
