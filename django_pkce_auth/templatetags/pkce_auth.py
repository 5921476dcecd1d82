"""``{% load pkce_auth %}``: the ways to begin a flow from a page."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from django import template
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template.context import Context

from .. import conf
from ..client.errors import ProviderUnavailable
from ..client.flow import authorization_url, safe_next, start_url
from ..client.providers import UnknownProvider
from ..client.registry import find_entry, is_off

logger = logging.getLogger("django_pkce_auth.client")
register = template.Library()


@register.inclusion_tag("pkce_auth/connect_button.html", takes_context=True)
def connect_button(
    context: Context,
    provider: str,
    next: str = "",
    label: str = "",
    scopes: str = "",
    connection: Any = None,
    popup: bool = False,
) -> dict[str, Any]:
    """A form with one button that begins to connect an account of ``provider``; afterwards the user is at ``next``.

    ``scopes``, separated by spaces, are asked for beside those that ``connection`` has or the settings name. With
    ``popup`` all of it happens in a small window, which closes itself; then the page goes to ``next``, or is loaded
    again where there is none. Without JavaScript, or with popups blocked, it happens in the page's own window.
    """
    button = _button(context, provider, next, label, popup)
    return {**button, "scopes": scopes, "connection": connection, "login": False}


@register.inclusion_tag("pkce_auth/connect_button.html", takes_context=True)
def login_button(
    context: Context, provider: str, next: str = "", label: str = "", popup: bool = False
) -> dict[str, Any]:
    """A form with one button that logs a visitor in through an account of ``provider``; ``popup`` as above."""
    return {**_button(context, provider, next, label, popup), "login": True}


@register.simple_tag(takes_context=True)
def connect_url(context: Context, provider: str, next: str = "") -> str:
    """The finished authorization URL, for ``<a href="{% connect_url "acme" %}">Connect your account</a>``.

    Each rendering begins an attempt of its own, good for 10 minutes. Needs ``ConnectLinkMiddleware``.
    """
    return _url(context, provider, next, login=False)


@register.simple_tag(takes_context=True)
def login_url(context: Context, provider: str, next: str = "") -> str:
    """Like ``connect_url``, to log a visitor in."""
    return _url(context, provider, next, login=True)


def _button(context: Context, provider: str, next: str, label: str, popup: bool) -> dict[str, Any]:
    entry = find_entry(provider, settings=conf.settings())
    if entry is None and is_off(provider):
        # Nothing of the page around it; who turned it off in the admin did not mean to take that down.
        return {}
    if entry is None:
        raise template.TemplateSyntaxError(f"PKCE_AUTH['PROVIDERS'] has no {provider!r}.")
    csrf_token = context.get("csrf_token") or ""
    if not csrf_token and django_settings.DEBUG:
        warnings.warn(
            "A connect_button or login_button needs the request: render the page with it, and include what has the "
            "button without 'only'. As it is, its form has no CSRF token and will be refused.",
            stacklevel=2,
        )
    return {
        "csrf_token": csrf_token,
        "provider_slug": provider,
        "provider_name": entry.display_name,
        "next": next,
        "label": label,
        "popup": popup,
    }


def _url(context: Context, provider: str, next: str, *, login: bool) -> str:
    request: HttpRequest | None = context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            "connect_url and login_url need the request: render the page with it, and with "
            "'django.template.context_processors.request' among the template engine's context_processors."
        )
    if not getattr(request, "_pkce_auth_sends_cookie", False):
        raise ImproperlyConfigured(
            "connect_url and login_url need 'django_pkce_auth.client.browser.ConnectLinkMiddleware' in MIDDLEWARE, "
            "as the page must send the attempt's cookie; connect_button and login_button need nothing."
        )
    try:
        return authorization_url(request, provider, next_url=next, login=login)
    except (ProviderUnavailable, UnknownProvider) as error:
        if isinstance(error, UnknownProvider) and not is_off(provider):
            raise
        # The page around the link is worth more than the link; our start page says what is wrong.
        logger.warning("No link to %s: %s", provider, error)
        return start_url(provider, next_url=safe_next(request, next), login=login)
