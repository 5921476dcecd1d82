"""django-ninja: ``auth=BearerAuth("read")`` on an API, a router or an operation, sync and async."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.security.base import AuthBase, SecuritySchema

from .grant import Grant, Refused
from .guard import Requirement, check, refusal
from .openapi import security_scheme


class RefusedByNinja(HttpError):
    """``Refused``, as Ninja's own handlers understand it: an API that ``secure`` does not know still refuses."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.status, refused.error.description if refused.error else "Send an access token.")
        self.refused = refused


class BearerAuth(AuthBase):
    """Let a request in only with an access token that has every one of ``scopes``; ``request.auth`` is the ``Grant``.

    Raises ValueError for what can't be a scope. The API needs one line, ``secure(api)``, for the answers to carry
    their challenge and the schema its scopes.
    """

    openapi_type = "oauth2"
    is_async = False

    def __init__(self, *scopes: str, resource: str | None = None) -> None:
        # Not AuthBase's, which would ask for the scheme now: the URLconf that it names may be importing us.
        self.needed = Requirement.of(scopes, resource)

    @property
    def openapi_security_schema(self) -> SecuritySchema:  # type: ignore[override]
        return SecuritySchema(**security_scheme())

    def __call__(self, request: HttpRequest) -> Grant:
        try:
            return check(request, self.needed)
        except Refused as refused:
            raise RefusedByNinja(refused) from None


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
    """Teach ``api`` the answers of our guards and the scopes of its schema; returns it."""

    def answer(request: HttpRequest, error: Any) -> HttpResponse:
        return refusal(error.refused)

    def schema(*, path_prefix: str | None = None, path_params: dict[str, Any] | None = None) -> OpenAPISchema:
        return _Schema(api, api.get_root_path(path_params or {}) if path_prefix is None else path_prefix)

    api.add_exception_handler(RefusedByNinja, answer)
    api.get_openapi_schema = schema  # type: ignore[method-assign]
    return api
