"""/oauth/authorize: the prompt, and the way back to the client (RFC 6749 §3.1)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from ... import conf
from ...protocol.errors import ACCESS_DENIED, INVALID_REQUEST, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.redirect_uris import host_of, is_loopback
from ...redirects import leave
from ..authorize import Authorization, RedirectableError, UnsafeRequest, approve, validate

logger = logging.getLogger("django_pkce_auth.server")


@never_cache
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables()
def authorize(request: HttpRequest) -> HttpResponseBase:
    """Show the prompt on GET; on POST act on its ``decision``. The request is checked anew each time."""
    settings = conf.settings()
    try:
        authorization = validate(Parameters.parse(request.META.get("QUERY_STRING", "")), settings=settings)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if request.method == "POST":
            return _decide(request, authorization, settings)
    except RedirectableError as error:
        _log_refusal(error.error.error, error.error.description)
        return leave(request, error.location(settings.issuer), destination=host_of(error.redirect_uri))
    except UnsafeRequest as error:
        return error_page(request, error.public, detail=error.detail)
    except OAuthError as error:
        return error_page(request, error.description, detail=error.detail, error=error.error)
    return _prompt(request, authorization, settings)


def _decide(request: HttpRequest, authorization: Authorization, settings: conf.Settings) -> HttpResponseBase:
    decision = request.POST.get("decision")
    if decision == "deny":
        raise authorization.refuse(ACCESS_DENIED, "The user denied the request.")
    if decision != "approve":
        raise OAuthError(INVALID_REQUEST, "The form's decision is neither approve nor deny; go back and choose again.")
    location = approve(authorization, user=request.user, settings=settings, now=timezone.now())
    return leave(request, location, destination=host_of(authorization.redirect_uri))


def _prompt(request: HttpRequest, authorization: Authorization, settings: conf.Settings) -> HttpResponse:
    context = {
        "client": authorization.client,
        "client_host": host_of(authorization.redirect_uri),
        "redirect_uri": authorization.redirect_uri,
        "is_loopback": is_loopback(authorization.redirect_uri),
        "scopes": [{"name": scope, "words": settings.scopes[scope]} for scope in authorization.scopes],
        "account": request.user,
        "action": request.get_full_path(),
    }
    response = render(request, "pkce_auth/authorize.html", context)
    response["Referrer-Policy"] = "same-origin"
    return response


def error_page(
    request: HttpRequest, public: str, *, detail: str = "", error: str = INVALID_REQUEST, status: int = 400
) -> HttpResponse:
    """Explain a request that can't be answered by a redirect; never repeats what arrived, but under DEBUG."""
    _log_refusal(error, f"{public} {detail}".strip())
    context: dict[str, Any] = {
        "error": error,
        "description": public,
        "detail": detail if django_settings.DEBUG else "",
        "title": HTTPStatus(status).phrase,
    }
    response = render(request, "pkce_auth/error.html", context, status=status)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _log_refusal(error: str, why: str) -> None:
    logger.warning("Authorization request refused: %s: %s", error, why, extra={"event": "authorization_refused"})
