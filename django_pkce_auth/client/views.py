"""The client side's pages: begin, come back, and see what is connected."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db import connections as databases
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from .. import conf
from ..protocol.errors import OAuthError
from ..protocol.parameters import Parameters
from ..protocol.redirect_uris import host_of
from ..redirects import leave
from . import attempts, browser, connections, flow, login
from .errors import ConnectError, ProviderRefused, ProviderUnavailable
from .models import ConnectAttempt, Connection
from .policy import ClientPolicy
from .providers import UnknownProvider

logger = logging.getLogger("django_pkce_auth.client")


@never_cache
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Link an account to the signed-in user: GET shows the button and changes nothing, POST begins."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    return _start(request, provider, login=False)


@never_cache
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Log in through an account, where the provider's entry has ``login``."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(flow.safe_next(request, request.GET.get("next", "")) or _home())
    return _start(request, provider, login=True)


def _start(request: HttpRequest, slug: str, *, login: bool) -> HttpResponseBase:
    settings = conf.settings()
    entry = settings.providers.get(slug)
    if entry is None or (login and not entry.login):
        return _problem(request, _("There is no such account to connect here."), reason="unknown provider", status=404)
    name = entry.display_name
    next_url = (request.POST if request.method == "POST" else request.GET).get("next", "")
    if request.method != "POST":
        context = {"provider_slug": slug, "provider_name": name, "next": next_url, "login": login}
        return render(request, "pkce_auth/connect.html", context)
    try:
        url = flow.authorization_url(request, slug, next_url=next_url, login=login, settings=settings)
    except ProviderUnavailable as error:
        return _problem(
            request,
            _("%(provider)s can't be reached right now. Nothing has changed; please try again later.")
            % {"provider": name},
            reason=str(error),
            status=503,
            again=(slug, login),
        )
    response = leave(request, url, destination=host_of(url))
    browser.remember(request, response, settings)
    return response


@never_cache
@xframe_options_deny
@require_safe
@sensitive_variables()
def callback(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Where the provider sends the browser back to (RFC 6749 §4.1.2)."""
    settings = conf.settings()
    policy: ClientPolicy = conf.policy(settings.client_policy)
    now = timezone.now()
    try:
        parameters = Parameters.parse(request.META.get("QUERY_STRING", ""))
        completed = flow.complete(
            request,
            provider,
            parameters,
            settings=settings,
            transport=policy.transport(),
            policy=policy,
            now=now,
        )
        attempt = completed.attempt
        if attempt.purpose == ConnectAttempt.Purpose.LOGIN:
            login.log_in(request, completed, policy=policy, now=now)
        else:
            connections.store(completed, user=attempt.user, now=now)
    except attempts.AttemptRefused as refusal:
        if refusal.completed is not None:
            return HttpResponseRedirect(refusal.completed.next_url or _home())
        return _problem(
            request,
            _("This page can't go on: it was opened too late, twice, or in another browser. Please start again."),
            reason=str(refusal),
            again=(provider, False),
        )
    except UnknownProvider as error:
        return _problem(request, _("There is no such account to connect here."), reason=str(error), status=404)
    except (OAuthError, ConnectError) as error:
        return _failed(request, provider, error)
    attempts.complete(attempt, now=now)
    return HttpResponseRedirect(attempt.next_url or _home())


# An attempt stays taken, and new tokens stay stored, whatever a project's ATOMIC_REQUESTS would roll back.
for _alias in databases:
    callback = transaction.non_atomic_requests(using=_alias)(callback)


def _failed(request: HttpRequest, slug: str, error: OAuthError | ConnectError) -> HttpResponse:
    """Say what the person can do about it. Of a provider's own words only ``access_denied`` is acted on."""
    if isinstance(error, ProviderRefused) and error.error == "access_denied":
        text = _("You did not allow access, so nothing was connected.")
        return _problem(request, text, reason=str(error), status=200, again=(slug, False))
    if isinstance(error, (connections.AccountTaken, login.LoginRefused)):
        return _problem(request, str(error), reason=type(error).__name__, status=403, again=(slug, False))
    if isinstance(error, ProviderUnavailable):
        text = _("The other site did not answer. Nothing was connected; please try again.")
        return _problem(request, text, reason=str(error), status=502, again=(slug, False))
    text = _("The other site's answer can't be used. Nothing was connected; please start again.")
    reason = f"{error.error}: {error.description}" if isinstance(error, OAuthError) else str(error)
    return _problem(request, text, reason=reason, again=(slug, False))


@never_cache
@xframe_options_deny
@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The accounts that the signed-in user connected."""
    settings = conf.settings()
    rows = list(Connection.objects.filter(user=request.user).order_by("provider", "pk"))
    names = {slug: entry.display_name for slug, entry in settings.providers.items()}
    context = {
        "connections": [{"row": row, "name": names.get(row.provider, row.provider)} for row in rows],
        "providers": [{"slug": slug, "name": name} for slug, name in names.items()],
    }
    return render(request, "pkce_auth/connections.html", context)


def _home() -> str:
    return reverse("pkce_auth:connections")


def _problem(
    request: HttpRequest, text: str, *, reason: str, status: int = 400, again: tuple[str, bool] | None = None
) -> HttpResponse:
    """A friendly page for the person, the reason for the log."""
    logger.warning("Connect attempt ended: %s", reason, extra={"event": "connect_failed", "reason": reason})
    name = "pkce_auth:log_in" if again and again[1] else "pkce_auth:connect"
    context = {"text": text, "again": reverse(name, args=[again[0]]) if again else ""}
    response = render(request, "pkce_auth/connect_problem.html", context, status=status)
    response["Referrer-Policy"] = "no-referrer"
    return response
