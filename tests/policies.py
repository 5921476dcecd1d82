from typing import Any

from django_pkce_auth.server.models import Client
from django_pkce_auth.server.policy import ServerPolicy


class NoWriting(ServerPolicy):
    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(scope for scope in scopes if scope != "write")
