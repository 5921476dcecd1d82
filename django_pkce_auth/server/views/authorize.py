"""/oauth/authorize: the prompt, and the way back to the client (RFC 6749 §3.1)."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from ... import conf
from ...error_reports import hide_secrets
from ...metrics import count
from ...outages import page_during_outages
from ...protocol.errors import ACCESS_DENIED, INVALID_REQUEST, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.redirect_uris import host_of
from ...redirects import arrive, leave, not_stored
from ..authorize import Authorization, RedirectableError, UnsafeRequest, approve, validate
from ..consent import ConsentGone, Question, question
from ..policy import ServerPolicy
from ..prompt import prompt_context
from ..sign_in import is_fresh, log_in_first, sign_in, switch_account

logger = logging.getLogger("django_pkce_auth.server")


@page_during_outages
@not_stored
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponseBase:
    """Show the prompt on GET; on POST act on its ``decision``. The request is checked anew each time."""
    hide_secrets(request)
    if request.method != "POST" and (again := arrive(request)) is not None:
        return again
    settings = conf.settings()
    try:
        parameters = Parameters.parse(request.META.get("QUERY_STRING", ""))
        user = request.user if request.user.is_authenticated else None
        authorization = validate(parameters, user=user, settings=settings, shown=request.method != "POST")
        return _answer(request, authorization, settings)
    except RedirectableError as error:
        if not (request.user.is_authenticated or error.is_silent):
            return log_in_first(request, login_hint=parameters.get("login_hint"))
        _log_refusal(error.error.error, error.error.description)
        return leave(request, error.location(settings.issuer), destination=host_of(error.redirect_uri))
    except UnsafeRequest as error:
        return error_page(request, error.public, detail=error.detail)
    except OAuthError as error:
        return error_page(request, error.description, detail=error.detail, error=error.error)


def _answer(request: HttpRequest, authorization: Authorization, settings: conf.Settings) -> HttpResponseBase:
    """Sign in where that is needed, then ask or act on the answer, in the order of OpenID Connect Core §3.1.2."""
    now, message = timezone.now(), authorization.request
    if not request.user.is_authenticated or not is_fresh(request, message, now=now):
        if "none" in message.prompts:
            raise authorization.refuse("login_required", "The user is not signed in, or not freshly enough.")
        return _sign_in(request, authorization, now)
    asked = _question(request, authorization, settings)
    if request.method == "POST":
        return _decide(request, authorization, asked, settings)
    if not asked.must_ask:
        # Not all that the client asked for: the policy may have left something out.
        names = tuple(scope.name for scope in asked.scopes)
        try:
            return _approve(request, authorization, names, settings, was_asked=False)
        except ConsentGone:
            asked = _question(request, replace(authorization, consented=()), settings)
    if "none" in message.prompts:
        raise authorization.refuse("consent_required", "The user has not allowed this yet, or must be asked again.")
    return _prompt(request, authorization, asked)


def _sign_in(request: HttpRequest, authorization: Authorization, now: datetime) -> HttpResponseBase:
    """Let the visitor sign in; who is signed in says so first, as it signs them out and anybody can link to this."""
    decision = request.POST.get("decision")
    if not request.user.is_authenticated or decision == "switch":
        return sign_in(request, authorization.request, now=now)
    if decision == "deny":
        raise authorization.refuse(ACCESS_DENIED, "The user did not want to sign in again.")
    context = {"client": authorization.client, "account": request.user, "action": request.get_full_path()}
    return _form(request, "pkce_auth/sign_in_again.html", context)


def _question(request: HttpRequest, authorization: Authorization, settings: conf.Settings) -> Question:
    policy: ServerPolicy = conf.policy(settings.server_policy)
    scopes = policy.scopes_for(request.user, authorization.client, authorization.scopes)
    if not scopes:
        raise authorization.refuse(ACCESS_DENIED, "The user may not grant any of the scopes that were asked for.")
    return question(
        authorization.client,
        before=authorization.consented,
        scopes=tuple(scope for scope in authorization.scopes if scope in scopes),
        redirect_uri=authorization.redirect_uri,
        registry=settings.scopes,
        forced=not {"consent", "select_account"}.isdisjoint(authorization.request.prompts),
    )


def _decide(
    request: HttpRequest, authorization: Authorization, asked: Question, settings: conf.Settings
) -> HttpResponseBase:
    decision = request.POST.get("decision")
    if decision == "deny":
        raise authorization.refuse(ACCESS_DENIED, "The user denied the request.")
    if decision == "switch":
        return switch_account(request)
    if decision != "approve":
        raise OAuthError(INVALID_REQUEST, "The form's decision is neither approve nor deny; go back and choose again.")
    return _approve(request, authorization, chosen_scopes(request, asked), settings)


def chosen_scopes(request: HttpRequest, asked: Question) -> tuple[str, ...]:
    """Return the scopes that stay ticked; a form without boxes means all that was asked."""
    names = [scope.name for scope in asked.scopes]
    shown = request.POST.get("shown")
    ticked = set(request.POST.getlist("scope"))
    if not ticked <= set(names) or (shown is not None and set(shown.split()) != set(names)):
        raise OAuthError(INVALID_REQUEST, "The form names other scopes than the link; go back and open the link again.")
    if len(names) == 1 or (shown is None and not ticked):
        return tuple(names)
    chosen = tuple(scope.name for scope in asked.scopes if scope.required or scope.name in ticked)
    if not chosen:
        raise OAuthError(INVALID_REQUEST, "Nothing was ticked; go back and tick what you allow, or choose Deny.")
    return chosen


def _approve(
    request: HttpRequest,
    authorization: Authorization,
    scopes: tuple[str, ...],
    settings: conf.Settings,
    *,
    was_asked: bool = True,
) -> HttpResponseBase:
    location = approve(
        authorization, user=request.user, scopes=scopes, settings=settings, now=timezone.now(), was_asked=was_asked
    )
    return leave(request, location, destination=host_of(authorization.redirect_uri))


def _prompt(request: HttpRequest, authorization: Authorization, asked: Question) -> HttpResponse:
    context = prompt_context(
        authorization.client,
        asked,
        user=request.user,
        action=request.get_full_path(),
        redirect_uri=authorization.redirect_uri,
        resources=conf.settings().resources.those(authorization.resources),
    )
    return _form(request, "pkce_auth/authorize.html", context)


def _form(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, context)
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
    }
    response = render(request, "pkce_auth/error.html", context, status=status)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _log_refusal(error: str, why: str) -> None:
    count("request_refused", endpoint="authorize", error=error)
    logger.warning("Authorization request refused: %s: %s", error, why, extra={"event": "authorization_refused"})
