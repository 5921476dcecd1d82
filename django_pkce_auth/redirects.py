"""Sending the browser to another site from a page that it posted a form to."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render


class LeaveRedirect(HttpResponse):
    """303 See Other to any scheme: a checked redirect URI may have a private-use one (RFC 8252 §7.1)."""

    status_code = 303

    def __init__(self, url: str) -> None:
        super().__init__()
        self["Location"] = url


def leave(request: HttpRequest, url: str, *, destination: str) -> HttpResponseBase:
    """Send the user on to ``url``, which the caller has checked; ``destination`` is its host, for the person to read.

    A program gets 303 (RFC 9700 §4.12). A browser's page load gets a page that goes on by itself and has a link:
    Chromium holds ``form-action`` of a Content-Security-Policy against every redirect behind a posted form, also
    behind the log-in form before ours, so under ``form-action 'self'`` a 303 to another site would go nowhere.
    """
    headers = request.headers
    response: HttpResponse
    if headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document":
        response = render(request, "pkce_auth/leave.html", {"url": url, "destination": destination})
        response["Refresh"] = f"0;url={url}"
    else:
        response = LeaveRedirect(url)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
