"""The client side's pages: begin, come back, and see what is connected."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from .. import conf
from ..error_reports import hide_secrets
from ..outages import during_outages, page, page_during_outages
from ..protocol.errors import ACCESS_DENIED, OAuthError
from ..protocol.parameters import Parameters
from ..protocol.redirect_uris import host_of
from ..protocol.scopes import parse_scope
from ..provider_settings import ProviderSettings
from ..redirects import arrive, leave, log_in_first, not_stored
from . import attempts, browser, connections, flow, login
from .disconnect import disconnect
from .errors import ConnectError, LoginRefused, ProviderRefused, ProviderUnavailable
from .models import ConnectAttempt, Connection
from .policy import ClientPolicy
from .providers import UnknownProvider
from .registry import all_entries, find_entry

logger = logging.getLogger("django_pkce_auth.client")

_POPUP = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
"""The name that the page with the button drew for the window it opened."""


@page_during_outages
@not_stored
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Link an account to the signed-in user: GET shows the button and changes nothing, POST begins."""
    if not request.user.is_authenticated:
        asked = _asked(request)
        scope, connection = asked.get("scope", "")[:1000], asked.get("connection", "")[:20]
        start = flow.start_url(provider, next_url=_goal(request), scope=scope, connection=connection)
        return log_in_first(start)
    return _start(request, provider, login=False)


@page_during_outages
@not_stored
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Log in through an account, where the provider's entry has ``login``."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(_goal(request) or _home())
    return _start(request, provider, login=True)


def _start(request: HttpRequest, slug: str, *, login: bool) -> HttpResponseBase:
    hide_secrets(request)
    settings = conf.settings()
    entry = find_entry(slug, settings=settings)
    if entry is None or (login and not entry.login):
        return _problem(request, _("There is no such account to connect here."), reason="unknown provider", status=404)
    asked = _asked(request)
    next_url, scope, connection = _goal(request), asked.get("scope", ""), _named(request, asked.get("connection", ""))
    if request.method != "POST":
        context = {
            "provider": slug,
            "provider_name": entry.display_name,
            "next": next_url,
            "scopes": scope,
            "connection": connection,
            "login": login,
        }
        return render(request, "pkce_auth/connect.html", context)
    try:
        url = flow.authorization_url(
            request,
            slug,
            next_url=next_url,
            login=login,
            scopes=parse_scope(scope),
            connection=connection,
            settings=settings,
        )
    except OAuthError as error:
        return _problem(request, _("The scopes that were asked for can't be read."), reason=error.description)
    except ProviderUnavailable as error:
        text = _("%(provider)s can't be reached right now. Nothing has changed; please try again later.")
        again = flow.start_url(slug, next_url=next_url, login=login)
        return _problem(request, text % {"provider": entry.display_name}, reason=str(error), status=503, again=again)
    response = leave(request, url, destination=host_of(url))
    browser.remember(request, response, settings)
    return response


def _named(request: HttpRequest, pk: str) -> Connection | None:
    """Return the visitor's own connection of this number, or None."""
    if not request.user.is_authenticated or not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    return _mine(request).filter(pk=pk).first()


@during_outages(page, repeats=False)
@not_stored
@xframe_options_deny
@require_GET
def callback(request: HttpRequest, provider: str) -> HttpResponseBase:
    """Where the provider sends the browser back to (RFC 6749 §4.1.2).

    An attempt stays taken, and new tokens stay stored, whatever fails after it: no transaction is around this.
    """
    hide_secrets(request)
    if (again := arrive(request)) is not None:
        return again
    settings = conf.settings()
    policy: ClientPolicy = conf.policy(settings.client_policy)
    now, parameters = timezone.now(), Parameters.of()
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
        text = _("This page can't go on: it was opened too late, twice, or in another browser. Please start again.")
        return _problem(request, text, reason=str(refusal), again=_again(request, provider, parameters, settings))
    except UnknownProvider as error:
        return _problem(request, _("There is no such account to connect here."), reason=str(error), status=404)
    except (OAuthError, ConnectError) as error:
        return _failed(request, error, again=_again(request, provider, parameters, settings))
    attempts.complete(attempt, now=now)
    return HttpResponseRedirect(attempt.next_url or _home())


@not_stored
@xframe_options_deny
@require_GET
def finished(request: HttpRequest) -> HttpResponseBase:
    """Where a flow in a window of its own ends: its script tells the page that opened the window, and closes it."""
    popup, next_url = request.GET.get("popup", ""), _next(request)
    context = {"popup": popup if _POPUP.match(popup) else "", "next": next_url, "home": _home()}
    return render(request, "pkce_auth/finished.html", context)


def _failed(request: HttpRequest, error: OAuthError | ConnectError, *, again: str) -> HttpResponse:
    """Say what the person can do about it. Of a provider's own words only ``access_denied`` is acted on."""
    if isinstance(error, ProviderRefused) and error.error == ACCESS_DENIED:
        text = _("You did not allow access, so nothing was connected.")
        return _problem(request, text, reason=str(error), status=200, again=again)
    if isinstance(error, (connections.AccountTaken, LoginRefused)):
        return _problem(request, str(error), reason=f"{type(error).__name__}: {error}", status=403, again=again)
    if isinstance(error, ProviderUnavailable):
        text = _("The other site did not answer. Nothing was connected; please try again.")
        return _problem(request, text, reason=str(error), status=502, again=again)
    text = _("The other site's answer can't be used. Nothing was connected; please start again.")
    reason = f"{error.error}: {error.description}" if isinstance(error, OAuthError) else str(error)
    return _problem(request, text, reason=reason, again=again)


@during_outages(page, repeats=False)
@not_stored
@xframe_options_deny
@csrf_protect
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponseBase:
    """The accounts that the signed-in user connected; ``?disconnect=<id>`` asks first, POST disconnects."""
    hide_secrets(request)
    settings = conf.settings()
    if request.method == "POST":
        return _disconnect(request, settings)
    entries = all_entries(settings=settings)
    names = {slug: entry.display_name for slug, entry in entries.items()}
    if "disconnect" in request.GET:
        row = _named(request, request.GET["disconnect"])
        if row is None:
            raise Http404("you have no such connection")
        context = {"row": row, "provider_name": names.get(row.provider, row.provider)}
        return render(request, "pkce_auth/disconnect.html", context)
    rows = list(_mine(request).order_by("provider", "pk"))
    context = {
        "connections": [_describe(row, entries.get(row.provider)) for row in rows],
        "providers": [
            {"slug": slug, "name": name, "label": _connect_label(name, [row for row in rows if row.provider == slug])}
            for slug, name in names.items()
        ],
    }
    return render(request, "pkce_auth/connections.html", context)


def _describe(row: Connection, entry: ProviderSettings | None) -> dict[str, Any]:
    return {
        "row": row,
        "name": entry.display_name if entry else row.provider,
        "scopes": [entry.scope_words.get(scope, scope) if entry else scope for scope in row.scopes],
        "may_reconnect": entry is not None and row.status != Connection.Status.ACTIVE,
    }


def _connect_label(name: str, rows: list[Connection]) -> str:
    """Return the words on a provider's button; one that does not tell accounts apart can have one of each user."""
    if not rows:
        return ""
    known = any(row.subject is not None for row in rows)
    words = _("Connect another %(name)s account") if known else _("Connect your %(name)s account again")
    return words % {"name": name}


def _disconnect(request: HttpRequest, settings: conf.Settings) -> HttpResponseBase:
    row = _named(request, request.POST.get("connection", ""))
    if row is None:
        raise Http404("you have no such connection")
    policy: ClientPolicy = conf.policy(settings.client_policy)
    if disconnect(row, settings=settings, transport=policy.transport()):
        return HttpResponseRedirect(_home())
    entry = find_entry(row.provider, settings=settings)
    context = {"provider_name": entry.display_name if entry else row.provider}
    return render(request, "pkce_auth/disconnected.html", context)


def _mine(request: HttpRequest) -> QuerySet[Connection]:
    """The visitor's connections, without the tokens: none is decrypted for a page that does not show it."""
    user: Any = request.user
    return Connection.objects.filter(user=user).defer("raw_access_token", "raw_refresh_token")


def _home() -> str:
    return reverse("pkce_auth:connections")


def _next(request: HttpRequest) -> str:
    return flow.safe_next(request, _asked(request).get("next", ""))


def _goal(request: HttpRequest) -> str:
    """Return where the flow shall end: at ``next``, by way of the page that closes the window where there is one."""
    popup = _asked(request).get("popup", "")
    return flow.finished_url(_next(request), popup=popup) if _POPUP.match(popup) else _next(request)


def _asked(request: HttpRequest) -> QueryDict:
    return request.POST if request.method == "POST" else request.GET


def _again(request: HttpRequest, slug: str, answer: Parameters, settings: conf.Settings) -> str:
    """Return where to start again what was begun: to connect or to log in, and where to go on afterwards."""
    begun = attempts.begun_here(
        state=answer.get("state"),
        browser=browser.read(request, settings),
        provider=slug,
        user=request.user if request.user.is_authenticated else None,
    )
    if begun is not None:
        is_login = begun.purpose == ConnectAttempt.Purpose.LOGIN
        asked_of = "" if begun.connection_id is None else str(begun.connection_id)
        return flow.start_url(slug, next_url=begun.next_url, login=is_login, scope=begun.scope, connection=asked_of)
    # Who is not signed in came to log in, if the provider is one for that.
    entry = find_entry(slug, settings=settings)
    return flow.start_url(slug, login=entry is not None and entry.login and not request.user.is_authenticated)


def _problem(request: HttpRequest, text: str, *, reason: str, status: int = 400, again: str = "") -> HttpResponse:
    """A friendly page for the person, the reason for the log."""
    slug = request.resolver_match.kwargs["provider"] if request.resolver_match else ""
    said = {"event": "connect_failed", "provider": slug, "reason": reason}
    logger.warning("Connect attempt ended: %s: %s", slug, reason, extra=said)
    response = render(request, "pkce_auth/connect_problem.html", {"text": text, "again": again}, status=status)
    response["Referrer-Policy"] = "no-referrer"
    # Django's own line about a 4xx or 5xx carries the request along, and its query holds a code and a state.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
