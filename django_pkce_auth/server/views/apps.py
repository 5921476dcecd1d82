"""/oauth/apps: the apps that have access to my account, and how to end it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from ... import conf
from ...outages import page_during_outages
from ...redirects import not_stored
from ...scope_registry import Scope
from ..consent import withdraw
from ..models import Consent, TokenFamily


@page_during_outages
@not_stored
@xframe_options_deny
@csrf_protect
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def apps(request: HttpRequest) -> HttpResponseBase:
    """One row an app, however many tokens it has; ``?revoke=<client_id>`` asks first, POST ends the access."""
    if request.method == "POST":
        withdraw(
            user=request.user, client=_mine(request.user, request.POST.get("client_id", "")).client, now=timezone.now()
        )
        return HttpResponseRedirect(request.path)
    if "revoke" in request.GET:
        consent = _mine(request.user, request.GET["revoke"])
        return render(request, "pkce_auth/app_revoke.html", {"client": consent.client})
    return _list(request)


def _mine(user: Any, client_id: str) -> Consent:
    # PostgreSQL takes no NUL in a text, and some databases compare without regard to case.
    found = Consent.objects.filter(user=user, client__client_id=client_id.replace("\0", "")).select_related("client")
    consent: Consent | None = found.first()
    if consent is None or consent.client.client_id != client_id:
        raise Http404("you have not allowed this app anything")
    return consent


def _list(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    consents = Consent.objects.filter(user=user).select_related("client").order_by("client__name", "pk")
    families = TokenFamily.objects.filter(user=user, revoked_at=None).values_list("client")
    used = dict(families.annotate(Max("last_used_at")).order_by())
    settings = conf.settings()
    rows = [
        {
            "client": consent.client,
            "since": consent.created_at,
            "last_used": used.get(consent.client_id),
            "scopes": [settings.scopes.get(name) or Scope(name, words=name) for name in consent.scopes],
            "resources": settings.resources.those(consent.remembered.resources),
        }
        for consent in consents
    ]
    return render(request, "pkce_auth/apps.html", {"apps": rows, "account": request.user})
