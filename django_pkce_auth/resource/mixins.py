"""``ScopesRequiredMixin`` for class-based views, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from .declared import requirement
from .grant import Refused
from .guard import acheck, check, refusal, varies

if TYPE_CHECKING:
    from django.views import View
else:
    View = object


class ScopesRequiredMixin(View):
    """Let a request in only with an access token that has the scopes of ``required_scopes``; stands before ``View``.

    ``required_scopes`` is a list, or a mapping by HTTP method: ``{"GET": ["read"], "POST": ["write"]}``. The rest is
    as with ``require_scopes``. A class that declares nothing raises ImproperlyConfigured in ``as_view``.
    """

    required_scopes: Iterable[str] | Mapping[str, Iterable[str]] = ()
    resource: str | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        view = super().as_view(**initkwargs)
        given = type(cls.__name__, (cls,), initkwargs)
        for method in cls.http_method_names:
            requirement(given, method=method)
        exempt = csrf_exempt(view)
        exempt.oauth_guarded = True  # type: ignore[attr-defined]
        exempt.login_required = False  # type: ignore[attr-defined]
        return exempt

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        needed = requirement(self, method=request.method or "")
        if self.view_is_async:
            return self._dispatch_async(request, needed, *args, **kwargs)
        try:
            check(request, needed)
        except Refused as refused:
            return refusal(refused)
        return varies(super().dispatch(request, *args, **kwargs))

    async def _dispatch_async(self, request: HttpRequest, needed: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            await acheck(request, needed)
        except Refused as refused:
            return refusal(refused)
        answer: Any = super().dispatch(request, *args, **kwargs)
        return varies(await answer)
