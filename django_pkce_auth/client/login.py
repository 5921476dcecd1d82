"""Log in through an account: (provider, issuer, subject) decides, and nothing that the provider lets people choose."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import login as django_login
from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..outages import persistently
from . import connections
from .errors import LoginRefused
from .flow import Completed
from .models import Connection
from .policy import ClientPolicy


def log_in(request: HttpRequest, completed: Completed, *, policy: ClientPolicy, now: datetime) -> Connection:
    """Log the account's user in, created first where the provider's ``create_users`` allows; raises LoginRefused."""
    provider = completed.provider
    if not provider.settings.login:
        raise LoginRefused(_("Nobody can log in here with an account at %(provider)s.") % {"provider": provider.name})
    if completed.account.subject is None:
        raise LoginRefused(
            _("%(provider)s did not say which account it is, so nobody can be logged in with it.")
            % {"provider": provider.name}
        )
    work = partial(_connection, request, completed, policy, now)
    try:
        connection = persistently(work)
    except (connections.AccountTaken, IntegrityError):
        # Another tab created the user for this account since we looked.
        connection = persistently(work)
    if not request.user.is_authenticated:
        # Rotates the session's key, so that a session planted before the log-in is worth nothing after it.
        django_login(request, connection.user, backend=_backend())
    return connection


def _backend() -> str:
    """Return the first backend that gives its users back to each request; some only watch log-ins, or take tokens.

    Not by asking it for the user, who may not have reached a replica yet.
    """
    for path in django_settings.AUTHENTICATION_BACKENDS:
        if getattr(import_string(path), "get_user", BaseBackend.get_user) is not BaseBackend.get_user:
            return path
    raise ImproperlyConfigured("No backend of AUTHENTICATION_BACKENDS gives back who logged in.")


def _connection(request: HttpRequest, completed: Completed, policy: ClientPolicy, now: datetime) -> Connection:
    provider, account = completed.provider, completed.account
    known = connections.find(provider, account)
    if request.user.is_authenticated and (known is None or known.user_id != request.user.pk):
        # Signed in since the attempt began: never swap the person under an open page.
        raise LoginRefused(
            _("You are signed in here as somebody else already. Log out first, then log in with this account.")
        )
    if known is None and not provider.settings.create_users:
        raise LoginRefused(
            _("No user here has connected this %(provider)s account. Log in first, then connect it to your account.")
            % {"provider": provider.name}
        )
    with transaction.atomic(using=router.db_for_write(Connection)):
        user: Any = policy.create_user(provider, account) if known is None else known.user
        if user is None:
            raise ImproperlyConfigured(
                f"{type(policy).__name__}.create_user returned no user; return it once saved, or raise LoginRefused."
            )
        if not user.is_active:
            raise LoginRefused(_("The user that this account belongs to is deactivated."))
        return connections.store_once(completed, user=user, now=now)
