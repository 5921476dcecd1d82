"""Django REST framework: authentication by access token, permission by scope, throttling by client."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from .. import conf
from ..protocol import bearer
from ..protocol.errors import OAuthError
from .bearer import first_challenge
from .declared import requirement
from .grant import Grant, Refused
from .guard import HEADER, Requirement, check, path_of


class Denied(APIException):
    """``Refused``, as the framework's exception handler understands it."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(detail=refused.members())
        self.status_code = refused.status
        self.auth_header = refused.headers.get("WWW-Authenticate")
        self.wait = int(refused.headers["Retry-After"]) if "Retry-After" in refused.headers else None


class BearerAuthentication(BaseAuthentication):
    """Who acts is whom the access token names; ``request.auth`` is the ``Grant``.

    A request with another scheme, or none, is left to the next class. A token that is not valid is refused at once.
    """

    oauth_guarded = True

    def authenticate(self, request: Request) -> tuple[Any, Grant] | None:
        _vary(request)
        try:
            if bearer.decode(request.META.get("HTTP_AUTHORIZATION")) is None:
                return None
        except OAuthError:
            pass  # verified below, and refused in the same words as everywhere
        resource = getattr(request.parser_context.get("view"), "resource", None)
        grant = _check(request, Requirement((), resource))
        return grant.acting_user, grant

    def authenticate_header(self, request: Request) -> str:
        """Say what ``HasScopes`` would, as another permission may have refused the request before it was asked."""
        view, settings = request.parser_context.get("view"), conf.settings()
        try:
            needed = requirement(view, method=request.method or "", action=_action(request, view))
        except ImproperlyConfigured:
            # A view that is not for HasScopes need not declare scopes, or not for every method.
            needed = Requirement((), getattr(view, "resource", None))
        here = needed.resource_at(path_of(request._request), settings=settings)
        return first_challenge(needed.scopes, resource=here, settings=settings)


class HasScopes(BasePermission):
    """Let in tokens with the scopes that the view declares in ``required_scopes``.

    That is a list, or a mapping by action (``"list"``) or method (``"GET"``). A request that came in by another way
    than a token, a session say, is not let in; ``HasScopes | IsAdminUser`` says who else is.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = requirement(view, method=request.method or "", action=_action(request, view))
        authenticator = request.successful_authenticator
        if authenticator is not None and not isinstance(authenticator, BearerAuthentication):
            return False
        _check(request, needed)
        return True


class ClientRateThrottle(SimpleRateThrottle):
    """Count requests by the client of their token: ``DEFAULT_THROTTLE_RATES["oauth_client"]``.

    Requests without a token are not counted here.
    """

    scope = "oauth_client"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.auth, Grant):
            return None
        return str(self.cache_format % {"scope": self.scope, "ident": request.auth.client_id})


def _action(request: Request, view: Any) -> str | None:
    """Return the view set's action for the request; None for OPTIONS, and in a view that is none."""
    action: str | None = getattr(view, "action", None)
    # The framework's name for OPTIONS, under which it also asks what the other methods would be answered.
    return view.action_map.get((request.method or "").lower()) if action == "metadata" else action


def _vary(request: Request) -> None:
    """Have the framework say what ``varies`` says elsewhere."""
    headers = getattr(request.parser_context.get("view"), "headers", None)
    if isinstance(headers, dict):
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), HEADER)))


def _check(request: Request, needed: Requirement) -> Grant:
    try:
        grant = check(request._request, needed)
    except Refused as refused:
        if (view := request.parser_context.get("view")) is not None:
            view.headers["Cache-Control"] = refused.headers["Cache-Control"]
        raise Denied(refused) from None
    request.oauth = grant  # type: ignore[attr-defined]
    return grant


with suppress(ImportError):
    from . import spectacular  # noqa: F401  (registers itself, where drf-spectacular is installed)
