"""Connect and log in: from the link to the stored connection."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from ..conf import Settings, policy
from ..conf import settings as current_settings
from ..protocol.authorization import AuthorizationErrorResponse, AuthorizationRequest, decode_response
from ..protocol.parameters import Parameters, add_to_query
from ..protocol.scopes import format_scope
from ..protocol.token import AuthorizationCodeTokenRequest, TokenResponse
from ..transport import Transport
from . import attempts, browser
from .errors import ConnectError, ProviderRefused
from .models import ConnectAttempt, Connection
from .policy import Account, ClientPolicy
from .providers import Provider, UnknownProvider, get_provider

logger = logging.getLogger("django_pkce_auth.client")


@dataclass(frozen=True, slots=True)
class Completed:
    """A callback that was checked and exchanged. Only ``complete`` makes one."""

    attempt: ConnectAttempt
    provider: Provider
    tokens: TokenResponse
    account: Account


class WrongIssuer(ConnectError):
    """The answer is not from the provider that was asked: a mix-up attack, or a wrong ``issuer`` in the settings."""


def authorization_url(
    request: HttpRequest,
    provider: str,
    *,
    next_url: str = "",
    login: bool = False,
    scopes: Iterable[str] = (),
    connection: Connection | None = None,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> str:
    """Return the finished authorization URL for ``<a href="…">Connect your account</a>`` (RFC 6749 §4.1.1).

    State and verifier are kept here for this browser for 10 minutes; the response must carry the attempt's cookie,
    which ``ConnectLinkMiddleware`` sees to. For a visitor who has to log in before there is a user to connect the
    account to, it is the address of our own start page. ``scopes`` are asked for beside what ``connection`` has, or
    what the settings name. Raises UnknownProvider or ProviderUnavailable.
    """
    settings = settings or current_settings()
    if not login and not request.user.is_authenticated:
        return start_url(provider, next_url=safe_next(request, next_url))
    client_policy: ClientPolicy = policy(settings.client_policy)
    target = get_provider(provider, settings=settings, transport=client_policy.transport())
    if login and not target.settings.login:
        raise UnknownProvider(f"The provider {provider!r} has no 'login' in PKCE_AUTH['PROVIDERS'].")
    redirect_uri = settings.absolute(reverse("pkce_auth:callback", args=[provider]))
    asked = tuple(dict.fromkeys((*(connection.scopes if connection else ()), *target.settings.scopes, *scopes)))
    begun = attempts.create(
        target,
        browser=browser.read_or_new(request, settings),
        user=None if login else request.user,
        purpose=ConnectAttempt.Purpose.LOGIN if login else ConnectAttempt.Purpose.CONNECT,
        redirect_uri=redirect_uri,
        next_url=safe_next(request, next_url),
        scope=format_scope(asked),
        connection=connection,
        now=now or timezone.now(),
    )
    message = AuthorizationRequest(
        client_id=target.settings.client_id,
        code_challenge=begun.code_challenge,
        redirect_uri=redirect_uri,
        scopes=asked,
        state=begun.state,
    )
    return message.encode(target.authorize_url, extra=target.settings.extra_authorize_parameters)


def start_url(provider: str, *, next_url: str = "", login: bool = False, scope: str = "", connection: str = "") -> str:
    """Return the address of the page with the button that begins."""
    page = reverse("pkce_auth:log_in" if login else "pkce_auth:connect", args=[provider])
    return add_to_query(page, [("next", next_url), ("scope", scope), ("connection", connection)])


def finished_url(next_url: str, *, popup: str) -> str:
    """Return where a flow in a window of its own ends: a page that tells the window that opened it, and closes."""
    return add_to_query(reverse("pkce_auth:finished"), [("next", next_url), ("popup", popup)])


def safe_next(request: HttpRequest, url: str) -> str:
    """Return ``url``, in ASCII, if it stays on this host, else the empty string: no open redirector (RFC 9700 §4.11).

    What no address holds (control characters, more than 2,000 characters) counts as elsewhere.
    """
    ours = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    encoded = iri_to_uri(url) if ours and url.isprintable() else ""
    return encoded if len(encoded) <= 2000 else ""


def complete(
    request: HttpRequest,
    provider: str,
    parameters: Parameters,
    *,
    settings: Settings,
    transport: Transport,
    policy: ClientPolicy,
    now: datetime,
) -> Completed:
    """Check the callback (``iss``, then ``state``, then ``error``) and redeem its code.

    Raises OAuthError for a malformed answer, WrongIssuer, AttemptRefused, ProviderRefused and ProviderUnavailable.
    """
    target = get_provider(provider, settings=settings, transport=transport)
    response = decode_response(parameters)
    _check_issuer(response.iss, target)
    attempt = attempts.take(
        state=response.state,
        browser=browser.read(request, settings),
        provider=provider,
        user=request.user if request.user.is_authenticated else None,
        now=now,
    )
    if attempt.issuer != target.issuer:
        raise WrongIssuer("the attempt was begun for another issuer than the settings name now")
    if isinstance(response, AuthorizationErrorResponse):
        raise ProviderRefused(response.error, response.error_description or "", secrets=[response.state])
    tokens = target.exchange(
        AuthorizationCodeTokenRequest(
            code=response.code, code_verifier=attempt.code_verifier or None, redirect_uri=attempt.redirect_uri
        ),
        transport=transport,
    )
    userinfo = target.userinfo(tokens.access_token, transport=transport) if target.userinfo_url else {}
    return Completed(attempt, target, tokens, policy.account(target, userinfo))


def _check_issuer(iss: str | None, provider: Provider) -> None:
    """RFC 9207 §2.4: compare as strings; what names no issuer is not from a provider that always does."""
    if not provider.issuer or (iss is None and not provider.sends_iss):
        return
    if iss != provider.issuer:
        raise WrongIssuer(
            "the answer names no issuer" if iss is None else f"the answer names another issuer than {provider.issuer}"
        )


def expires_at(tokens: TokenResponse, now: datetime) -> datetime | None:
    return None if tokens.expires_in is None else now + timedelta(seconds=tokens.expires_in)


def granted_scope(tokens: TokenResponse, asked: str) -> str:
    """Return the scope that was granted: what was asked, where the answer does not say (RFC 6749 §5.1)."""
    return asked if tokens.scopes is None else format_scope(tokens.scopes)
