"""The device authorization grant: the device's endpoint, and the page where its user enters the code (RFC 8628)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods, require_safe

from ... import conf
from ...outages import page_during_outages
from ...protocol.device import DeviceAuthorizationRequest, read_user_code, show_user_code
from ...protocol.errors import ACCESS_DENIED, OAuthError
from ...protocol.grant_types import DEVICE_CODE
from ...redirects import not_stored
from ...resource_registry import Resource
from ..authenticate import require_grant_type
from ..consent import Question, question, remembered
from ..device import approve_device, begin, deny_device, find_waiting
from ..models import DeviceCode
from ..policy import ServerPolicy
from ..prompt import prompt_context
from ..remembered import Remembered
from ..resources import allowed_resources
from ..responses import json_response
from ..scopes import allowed_scopes
from ..sign_in import switch_account
from ..throttle import USER_CODE_FAILURES, count_failure, is_blocked
from .authorize import chosen_scopes, error_page
from .endpoint import ClientRequest, client_endpoint

KIND = "user_code"


@client_endpoint
def device_authorization(request: HttpRequest, message: ClientRequest) -> HttpResponse:
    """Give a device its two codes (§3.2)."""
    wanted = DeviceAuthorizationRequest.decode(message.parameters)
    client, settings = message.authenticate(), conf.settings()
    require_grant_type(client, DEVICE_CODE)
    scopes = allowed_scopes(wanted.scopes, client=client, registry=settings.scopes)
    resources = allowed_resources(wanted.resources, client=client, registry=settings.resources)
    page = settings.absolute(reverse("pkce_auth:device"))
    answer = begin(
        client, scopes=scopes, resources=resources, verification_uri=page, settings=settings, now=message.now
    )
    return json_response(answer.encode())


@page_during_outages
@not_stored
@xframe_options_deny
@csrf_protect
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponseBase:
    """Enter the code, see who asks for what, and answer. A link with the code only fills the form in (§3.3.1)."""
    if request.method != "POST":
        code = read_user_code(request.GET.get("user_code", ""))
        return _form(request, typed=show_user_code(code) if code else "")
    if request.POST.get("decision") == "switch":
        return switch_account(request)
    who = str(request.user.pk)
    if is_blocked(KIND, who, limit=USER_CODE_FAILURES):
        return _form(request, problem=_("Too many wrong codes. Please wait a few minutes."), status=429)
    code = read_user_code(request.POST.get("user_code", ""))
    waiting = find_waiting(code, now=timezone.now()) if code else None
    if code is None or waiting is None:
        count_failure(KIND, who, limit=USER_CODE_FAILURES)
        text = _("No device waits under this code. Check it on the device's screen; it may have expired.")
        return _form(request, typed=show_user_code(code) if code else "", problem=text, status=400)
    try:
        return _decide(request, waiting, code)
    except OAuthError as error:
        return error_page(request, error.description, error=error.error)


def _decide(request: HttpRequest, waiting: DeviceCode, code: str) -> HttpResponse:
    asked = _question(request, waiting)
    decision = request.POST.get("decision")
    if decision == "approve":
        done = approve_device(
            waiting,
            user=request.user,
            scopes=chosen_scopes(request, asked),
            settings=conf.settings(),
            now=timezone.now(),
        )
        return _done(request, waiting, allowed=True) if done else _form(request, problem=_("Answered already."))
    if decision == "deny":
        deny_device(waiting, now=timezone.now())
        return _done(request, waiting, allowed=False)
    context = prompt_context(
        waiting.client, asked, user=request.user, action=request.path, resources=_resources(waiting)
    )
    return render(request, "pkce_auth/device_prompt.html", context | {"user_code": show_user_code(code)})


def _resources(waiting: DeviceCode) -> tuple[Resource, ...]:
    return conf.settings().resources.those(waiting.resources)


def _question(request: HttpRequest, waiting: DeviceCode) -> Question:
    """Ask always: who holds the device is known to nobody but the person who reads its code."""
    settings = conf.settings()
    policy: ServerPolicy = conf.policy(settings.server_policy)
    asked = tuple(scope for scope in waiting.scope.split() if scope in settings.scopes)
    scopes = policy.scopes_for(request.user, waiting.client, asked)
    if not scopes:
        raise OAuthError(ACCESS_DENIED, "You may not grant this device anything that it asks for.")
    before = remembered(user=request.user, client=waiting.client, using=router.db_for_write(DeviceCode)) or Remembered()
    return question(
        waiting.client,
        scopes=tuple(scope for scope in asked if scope in scopes),
        before=before.scopes_at(waiting.resources, own=settings.resources.own.identifier),
        redirect_uri="",
        registry=settings.scopes,
        forced=True,
    )


def _form(request: HttpRequest, *, typed: str = "", problem: str = "", status: int = 200) -> HttpResponse:
    context = {"typed": typed, "problem": problem, "account": request.user}
    return render(request, "pkce_auth/device.html", context, status=status)


def _done(request: HttpRequest, waiting: DeviceCode, *, allowed: bool) -> HttpResponse:
    return render(request, "pkce_auth/device_done.html", {"client": waiting.client, "allowed": allowed})


@require_safe
def device_qr(request: HttpRequest) -> HttpResponse:
    """Draw the link with a user code, for a device that shows a web page: SVG, by the optional ``segno``.

    It tells nothing of whether the code exists.
    """
    code = read_user_code(request.GET.get("user_code", ""))
    if code is None:
        raise Http404("this is no user code")
    try:
        import segno
    except ImportError:
        raise Http404("the extra qr of django-pkce-auth draws QR codes") from None
    page = conf.settings().absolute(reverse("pkce_auth:device"))
    drawn = segno.make(f"{page}?user_code={show_user_code(code)}", micro=False)
    response = HttpResponse(drawn.svg_inline(scale=8, border=4, light="#fff"), content_type="image/svg+xml")
    response["Cache-Control"] = "no-store"
    return response
