"""Which scopes a client gets: of those that it asks for, or by default (RFC 6749 §3.3)."""

from __future__ import annotations

from ..protocol.errors import INVALID_SCOPE, OAuthError
from ..scope_registry import ScopeRegistry
from .models import Client


def allowed_scopes(requested: tuple[str, ...], *, client: Client, registry: ScopeRegistry) -> tuple[str, ...]:
    """Return what was requested, or the client's default; raises OAuthError ``invalid_scope`` beyond its own."""
    allowed = [scope for scope in client.scopes if scope in registry]
    wanted = requested or tuple(scope for scope in client.default_scopes if scope in allowed)
    if not wanted:
        raise OAuthError(INVALID_SCOPE, "scope is missing, and the client has no default scopes; name at least one.")
    if refused := [scope for scope in wanted if scope not in allowed]:
        raise OAuthError(INVALID_SCOPE, f"scope {refused[0]} does not exist here or is not allowed to this client.")
    return wanted
