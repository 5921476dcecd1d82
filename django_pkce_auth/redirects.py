"""Sending the browser to another site from a page that it posted a form to, and receiving it from one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.http import escape_leading_slashes

from . import conf


class LeaveRedirect(HttpResponse):
    """303 See Other to any scheme: a checked redirect URI may have a private-use one (RFC 8252 §7.1)."""

    status_code = 303

    def __init__(self, url: str) -> None:
        super().__init__()
        self["Location"] = url


ARRIVED = "pkce_auth_arrived=1"
_NO_CACHE = "private, no-store"
"""In words for Django's own cache of pages as well: many a release of it looks at ``private`` alone."""


def arrive(request: HttpRequest) -> HttpResponse | None:
    """Return a page that loads the same address once more from here, where the session cookie was held back.

    With ``SESSION_COOKIE_SAMESITE = "Strict"`` a browser that comes from another site brings no session: whoever is
    signed in would look like a stranger. None where the session came, and for who was sent round already. For pages
    whose GET changes nothing that a link from another site must not change, as Strict holds nothing back from them.
    """
    query = request.META.get("QUERY_STRING", "")
    is_strict = str(django_settings.SESSION_COOKIE_SAMESITE).lower() == "strict"
    if not is_strict or django_settings.SESSION_COOKIE_NAME in request.COOKIES or ARRIVED in query:
        return None
    # Two slashes in front would be another host.
    here = escape_leading_slashes(request.get_full_path())
    return _hop(request, f"{here}{'&' if query else '?'}{ARRIVED}", destination=request.get_host())


def log_in_first(path: str) -> HttpResponseRedirect:
    """Send the visitor to the log-in page, and back to ``path``; a page on another host is told our own as well."""
    page, settings = urlsplit(resolve_url(django_settings.LOGIN_URL)), conf.settings()
    ours = urlsplit(settings.origin)
    is_elsewhere = (page.scheme or ours.scheme, page.netloc or ours.netloc) != (ours.scheme, ours.netloc)
    return redirect_to_login(settings.absolute(path) if is_elsewhere else path)


def leave(request: HttpRequest, url: str, *, destination: str) -> HttpResponseBase:
    """Send the user on to ``url``, which the caller has checked; ``destination`` is its host, for the person to read.

    A program gets 303 (RFC 9700 §4.12). A browser's page load gets a page that goes on by itself and has a link:
    Chromium holds ``form-action`` of a Content-Security-Policy against every redirect behind a posted form, also
    behind the log-in form before ours, so under ``form-action 'self'`` a 303 to another site would go nowhere.
    """
    # META holds the same as request.headers, which Django puts together of all headers when one is asked for.
    sent = request.META
    if sent.get("HTTP_SEC_FETCH_MODE") == "navigate" and sent.get("HTTP_SEC_FETCH_DEST") == "document":
        return _hop(request, url, destination=destination)
    response = LeaveRedirect(url)
    _keep_to_oneself(response)
    return response


def _hop(request: HttpRequest, url: str, *, destination: str) -> HttpResponse:
    response = render(request, "pkce_auth/leave.html", {"url": url, "destination": destination})
    response["Refresh"] = f"0;url={url}"
    _keep_to_oneself(response)
    return response


def not_stored(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Keep a person's page out of every cache (RFC 9111 §5.2.2.5, §5.2.2.7), as ``never_cache`` does."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Cache-Control"] = _NO_CACHE
        return response

    return answered


def _keep_to_oneself(response: HttpResponse) -> None:
    response["Cache-Control"] = _NO_CACHE
    response["Referrer-Policy"] = "no-referrer"
