"""django-ninja: ``auth=BearerAuth("read")`` on an API, a router or an operation, sync and async."""

from __future__ import annotations

from inspect import getclosurevars, isfunction
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation, PathView
from ninja.security.base import AuthBase, SecuritySchema
from ninja.throttling import SimpleRateThrottle

from .grant import Grant, Refused
from .guard import Requirement, check, refusal, varies
from .openapi import security_scheme


class RefusedByNinja(HttpError):
    """``Refused``, as Ninja's own handlers understand it: an API that ``secure`` does not know still refuses."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.status, refused.error.description if refused.error else "Send an access token.")
        self.refused = refused


class BearerAuth(AuthBase):
    """Let a request in only with an access token that has every one of ``scopes``; ``request.auth`` is the ``Grant``.

    A request without a token is left to the other entries of ``auth``, where there are any. Raises ValueError for what
    can't be a scope. The API needs one line, ``secure(api)``, for the answers to carry their challenge and the schema
    its scopes.
    """

    openapi_type = "oauth2"
    is_async = False

    def __init__(self, *scopes: str, resource: str | None = None) -> None:
        # Not AuthBase's, which would ask for the scheme now: the URLconf that it names may be importing us.
        self.needed = Requirement.of(scopes, resource)

    @property
    def openapi_security_schema(self) -> SecuritySchema:  # type: ignore[override]
        return SecuritySchema(**security_scheme())

    def __call__(self, request: HttpRequest) -> Grant | None:
        if "HTTP_AUTHORIZATION" not in request.META and "Authorization" in request.headers:
            # Ninja's own test client says it there alone.
            request.META["HTTP_AUTHORIZATION"] = request.headers["Authorization"]
        try:
            return check(request, self.needed)
        except Refused as refused:
            if refused.error is not None:
                raise RefusedByNinja(refused) from None
            request._pkce_auth_refused = refused  # type: ignore[attr-defined]
            return None


class ClientRateThrottle(SimpleRateThrottle):
    """Count requests by the client of their token: ``ClientRateThrottle("100/min")``.

    Without a rate it is ``NINJA_DEFAULT_THROTTLE_RATES["oauth_client"]``. Requests without a token are not counted
    here. Ninja's own ``AuthRateThrottle`` would count each token apart, and a client can have many.
    """

    scope = "oauth_client"

    def get_cache_key(self, request: HttpRequest) -> str | None:
        grant = getattr(request, "auth", None)
        if not isinstance(grant, Grant):
            return None
        return str(self.cache_format % {"scope": self.scope, "ident": grant.client_id})


class _Schema(OpenAPISchema):
    def operation_security(self, operation: Operation) -> list[dict[str, Any]] | None:
        """Say which scopes each operation needs; Ninja itself leaves the list empty."""
        security = super().operation_security(operation)
        guards = [auth for auth in operation.auth_callbacks if hasattr(auth, "openapi_security_schema")]
        for auth, said in zip(guards, security or (), strict=False):
            if isinstance(auth, BearerAuth):
                said[type(auth).__name__] = list(auth.needed.scopes)
        return security


def secure(api: NinjaAPI) -> NinjaAPI:
    """Teach ``api`` the answers of our guards and the scopes of its schema; returns it.

    Its guarded operations are also let through by Django's ``LoginRequiredMiddleware``, as they guard themselves.
    """

    def answer(request: HttpRequest, error: Any) -> HttpResponse:
        return refusal(error.refused)

    def answer_nobody(request: HttpRequest, error: Any) -> HttpResponse:
        refused = getattr(request, "_pkce_auth_refused", None)
        if refused is not None:
            return refusal(refused)
        return api.create_response(request, {"detail": str(error)}, status=error.status_code)

    begun = api.create_temporal_response

    def temporal(request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = varies(begun(request))
        return answer

    def schema(*, path_prefix: str | None = None, path_params: dict[str, Any] | None = None) -> OpenAPISchema:
        return _Schema(api, api.get_root_path(path_params or {}) if path_prefix is None else path_prefix)

    api.add_exception_handler(RefusedByNinja, answer)
    api.add_exception_handler(AuthenticationError, answer_nobody)
    api.get_openapi_schema = schema  # type: ignore[method-assign]
    api.create_temporal_response = temporal  # type: ignore[method-assign]
    _mark_views(api)
    return api


def _mark_views(api: NinjaAPI) -> None:
    """Let middleware see which views guard themselves: ours, and Django's LoginRequiredMiddleware."""
    unmarked = api._get_urls

    def marked() -> list[Any]:
        patterns = unmarked()
        for view in (pattern.callback for pattern in patterns):
            # Ninja makes a function for each pattern, which alone knows its operations.
            described = getclosurevars(view).nonlocals.get("self") if isfunction(view) else None
            if isinstance(described, PathView) and all(_is_guarded(each) for each in described.operations):
                _exempt(view)
        return patterns

    api._get_urls = marked  # type: ignore[method-assign]


def _exempt(view: Any) -> None:
    view.oauth_guarded = True
    view.login_required = False


def _is_guarded(operation: Operation) -> bool:
    return any(isinstance(auth, BearerAuth) for auth in operation.auth_callbacks)
