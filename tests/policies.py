from typing import Any

from django.utils import timezone

from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.models import Client
from django_pkce_auth.server.policy import ServerPolicy


class NoWriting(ServerPolicy):
    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(scope for scope in scopes if scope != "write")


class WithdrawnMeanwhile(ServerPolicy):
    """The user withdraws the consent in another tab, after it was read and before the answer."""

    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        withdraw(user=user, client=client, now=timezone.now())
        return scopes
