"""When the user last proved who they are, and how a client can ask for it anew (OpenID Connect Core §3.1.2.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib.auth import logout
from django.core import signing
from django.http import HttpRequest, HttpResponseRedirect

from .. import redirects
from ..protocol.authorization import AuthorizationRequest
from .signed_in import SESSION_KEY

MARK = "signed_in_after"
"""A parameter of our own in the URL behind the log-in page: when a fresh sign-in was asked for, signed."""
MARK_LIFETIME = timedelta(hours=1)
SIGN_IN_COUNTS_FOR = timedelta(minutes=10)
"""Anybody can have a mark made in a browser of theirs and wait until somebody signs in at another one."""
CLOCK_SKEW_SECONDS = 10
"""How far the clocks of two processes may be apart; who is asked to sign in anew is signed out before."""
_SALT = "django_pkce_auth.sign_in"


def is_fresh(http: HttpRequest, request: AuthorizationRequest, *, now: datetime) -> bool:
    """True where ``prompt=login`` and ``max_age`` are satisfied by the session's sign-in.

    A sign-in that this very request asked for is fresh enough, however small ``max_age`` is, or it would be asked for
    again and again. It is for ten minutes, the time to read the page.
    """
    if "login" not in request.prompts and request.max_age is None:
        return True
    signed_in_at = http.session.get(SESSION_KEY, 0)
    age = now.timestamp() - signed_in_at
    mark = _read_mark(http.GET.get(MARK, ""), request)
    if mark is not None and signed_in_at >= mark - CLOCK_SKEW_SECONDS and age <= SIGN_IN_COUNTS_FOR.total_seconds():
        return True
    return "login" not in request.prompts and age <= (request.max_age or 0)


def sign_in(http: HttpRequest, request: AuthorizationRequest, *, now: datetime) -> HttpResponseRedirect:
    """Send the visitor to the project's log-in page and back to this request.

    Whoever is signed in is signed out first, which is for a POST to do: a log-in page that passes signed-in visitors on
    would come straight back. ``login_hint`` is handed on for the page to use.
    """
    if http.user.is_authenticated:
        logout(http)
    mark = ""
    if "login" in request.prompts or request.max_age is not None:
        mark = signing.dumps(int(now.timestamp()), salt=_salt(request))
    return log_in_first(http, mark=mark, login_hint=request.login_hint)


def log_in_first(http: HttpRequest, *, login_hint: str | None, mark: str = "") -> HttpResponseRedirect:
    """Send the visitor to the log-in page and back to this address, with our ``mark`` and no other in it."""
    query = http.GET.copy()
    query.pop(MARK, None)
    if mark:
        query[MARK] = mark
    response = redirects.log_in_first(f"{http.path}?{query.urlencode()}")
    if login_hint:
        response["Location"] += "&" + urlencode({"login_hint": login_hint})
    return response


def switch_account(http: HttpRequest) -> HttpResponseRedirect:
    """Sign out, and ask again who it is."""
    logout(http)
    return redirects.log_in_first(http.get_full_path())


def _salt(request: AuthorizationRequest) -> str:
    """Bind a mark to one request: that of another, handed on in a link, says nothing about this one."""
    return f"{_SALT}:{request.client_id}:{request.code_challenge}"


def _read_mark(value: str, request: AuthorizationRequest) -> int | None:
    try:
        mark = signing.loads(value, salt=_salt(request), max_age=MARK_LIFETIME)
    except signing.BadSignature:
        return None
    return mark if isinstance(mark, int) else None
