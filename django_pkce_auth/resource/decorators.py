"""``@require_scopes("read")`` for function views, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest

from ..protocol.scopes import is_scope_token
from .grant import Refused
from .guard import Requirement, acheck, check, refusal, varies

View = Callable[..., Any]


def require_scopes(*scopes: str, resource: str | None = None) -> Callable[[View], View]:
    """Let a request in only with an access token that has every one of ``scopes`` (RFC 6750).

    Behind it ``request.oauth`` is a ``Grant`` (client, user or None, scopes) and ``request.user`` who acts. A request
    without a fitting token gets the RFC's challenge: 401, 403 or 400, never a redirect to a log-in page. The view
    needs no CSRF token: a browser never sends an Authorization header by itself. ``resource`` is what the token must
    be for (RFC 8707), see ``Requirement``. Raises ValueError for no scope.
    """
    if not scopes or not all(isinstance(scope, str) and is_scope_token(scope) for scope in scopes):
        raise ValueError(f"require_scopes takes one scope or more, such as require_scopes('read'); it got {scopes!r}.")
    needed = Requirement(scopes, resource)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view) or _is_dispatch_of_async(view):

            @wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                try:
                    await acheck(request, needed)
                except Refused as refused:
                    return refusal(refused)
                return varies(await view(request, *args, **kwargs))

            return _marked(guarded_async)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                check(request, needed)
            except Refused as refused:
                return refusal(refused)
            return varies(view(request, *args, **kwargs))

        return _marked(guarded)

    return decorate


def _is_dispatch_of_async(view: View) -> bool:
    """True for what ``method_decorator(…, name="dispatch")`` hands over of a class with async handlers."""
    return getattr(getattr(getattr(view, "func", None), "__self__", None), "view_is_async", False) is True


def _marked(view: View) -> View:
    """Let middleware see that the view guards itself: ours, and Django's LoginRequiredMiddleware."""
    # What Django's csrf_exempt sets, without its wrapper around each call.
    view.csrf_exempt = True  # type: ignore[attr-defined]
    view.oauth_guarded = True  # type: ignore[attr-defined]
    return login_not_required(view)
