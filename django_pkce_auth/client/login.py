"""Log in through an account: (provider, subject) decides, and nothing that the provider lets people choose."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import login as django_login
from django.db import transaction
from django.http import HttpRequest

from . import connections
from .errors import ConnectError
from .flow import Completed
from .models import Connection
from .policy import ClientPolicy


class LoginRefused(ConnectError):
    """Nobody was logged in; the text tells the visitor why and what to do."""


def log_in(request: HttpRequest, completed: Completed, *, policy: ClientPolicy, now: datetime) -> Connection:
    """Log the account's user in, created first where the provider's ``create_users`` allows; raises LoginRefused."""
    provider, account = completed.provider, completed.account
    if account.subject is None:
        raise LoginRefused(f"{provider.name} did not say which account it is, so nobody can be logged in with it.")
    known = connections.find(provider, account)
    if known is None and not provider.settings.create_users:
        raise LoginRefused(
            f"No user here has connected this {provider.name} account. Log in first, then connect it to your account."
        )
    with transaction.atomic():
        user: Any = policy.create_user(provider, account) if known is None else known.user
        if not user.is_active:
            raise LoginRefused("The user that this account belongs to is deactivated.")
        connection = connections.store(completed, user=user, now=now)
    # Rotates the session's key, so that a session planted before the log-in is worth nothing after it.
    django_login(request, user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
    return connection
