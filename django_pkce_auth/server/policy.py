"""What a project may decide for itself on the server side; ``PKCE_AUTH["SERVER_POLICY"]`` names a subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest

    from .models import Client


class ServerPolicy:
    """The defaults. Override what you need; every method gets what it decides about and may only narrow."""

    def address(self, request: HttpRequest) -> str:
        """Return whom failures of unknown clients are counted for; override it behind a proxy that you trust."""
        return str(request.META.get("REMOTE_ADDR", ""))

    def scopes_for(self, user: Any, client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of ``scopes`` that ``user`` may grant to ``client``; the others are left out of the prompt."""
        return scopes
