"""What every guard inside Django does: verify the request, put ``request.oauth`` and the user on it, or refuse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

from .. import conf
from ..error_reports import hide_secrets
from ..protocol.scopes import is_scope_token
from ..resource_registry import Resource
from .bearer import verify
from .grant import Grant, Refused

HEADER: Final = "Authorization"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an operation needs: every one of ``scopes``, in a token for ``resource``.

    ``resource`` is an identifier of ``PKCE_AUTH["RESOURCES"]`` or its path on this host; None: the one that the
    request's own path lies below, or this project as a whole.
    """

    scopes: tuple[str, ...] = ()
    resource: str | None = None

    @classmethod
    def of(cls, scopes: Iterable[str], resource: str | None = None) -> Requirement:
        """Return the requirement; raises ValueError for what can't be a scope."""
        listed = (scopes,) if isinstance(scopes, str) else tuple(scopes)
        for scope in listed:
            if not isinstance(scope, str) or not is_scope_token(scope):
                raise ValueError(f"{scope!r} can't be a scope; write scopes one by one, such as 'read', 'write'.")
        return cls(listed, resource)

    def resource_at(self, path: str, *, settings: conf.Settings) -> Resource:
        """Return what is asked for at ``path``; a resource that the settings do not name admits its own tokens."""
        return settings.resources.at(path) if self.resource is None else settings.resources.meant_by(self.resource)


def whole_path(path: str, *, root: str) -> str:
    """Return the path with what the project is mounted below; ASGI servers differ in whether ``path`` holds that."""
    root = root.rstrip("/")
    return path if not root or path == root or path.startswith(f"{root}/") else f"{root}{path}"


def path_of(request: HttpRequest) -> str:
    """Return where a request asks, as its client sees it: it says which resource the guard stands in."""
    return whole_path(request.path, root=request.META.get("SCRIPT_NAME", ""))


def check(request: HttpRequest, needed: Requirement) -> Grant:
    """Verify the request and put the grant and its user on it; raises Refused. One query in a request at most.

    Behind it ``request.oauth`` is the grant and ``request.user`` who acts.
    """
    settings = conf.settings()
    authorization = request.META.get("HTTP_AUTHORIZATION")
    verified = getattr(request, "_pkce_auth_verified", None)
    try:
        grant = verify(
            authorization,
            scopes=needed.scopes,
            resource=needed.resource_at(path_of(request), settings=settings),
            settings=settings,
            now=timezone.now(),
            known=verified[1] if verified is not None and verified[0] == authorization else None,
        )
    except Refused:
        raise
    except Exception:
        hide_secrets(request)
        raise
    request._pkce_auth_verified = (authorization, grant)  # type: ignore[attr-defined]
    _admit(request, grant)
    return grant


acheck = sync_to_async(check)
"""``check`` for async code: the query runs in the thread that Django keeps for that."""


def refusal(refused: Refused) -> HttpResponse:
    """Return the answer that all guards inside Django give, to the byte."""
    return JsonResponse(refused.members(), status=refused.status, headers=refused.headers)


def varies(response: Any) -> Any:
    """Return the response, which caches keep for requests with the same header alone (RFC 9110 §12.5.5).

    Without it the cache of whole pages of many a Django hands it to anybody: it looks at no Authorization header.
    """
    if isinstance(response, HttpResponseBase):
        if response.has_header("Vary"):
            patch_vary_headers(response, [HEADER])
        else:
            response["Vary"] = HEADER
    return response


def _admit(request: HttpRequest, grant: Grant) -> None:
    user = grant.acting_user
    request.oauth = grant  # type: ignore[attr-defined]
    request.user = user

    request.auser = partial(_loaded, user)


async def _loaded(user: Any) -> Any:
    if isinstance(user, SimpleLazyObject):
        await sync_to_async(bool)(user)  # loads it
    return user
