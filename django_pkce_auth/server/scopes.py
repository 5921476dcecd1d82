"""Which scopes a client gets: of those that it asks for, or by default (RFC 6749 §3.3)."""

from __future__ import annotations

from ..protocol.errors import INVALID_GRANT, INVALID_SCOPE, OAuthError
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


def narrowed_scopes(
    requested: tuple[str, ...], granted: tuple[str, ...], *, client: Client, registry: ScopeRegistry
) -> tuple[str, ...] | None:
    """Return what a token request narrows its access token to, None where it is all that was granted (§3.3, §6).

    What was taken from the client or from the settings since then is left out, and works again where it is given back.
    Raises OAuthError: ``invalid_scope`` for what was not granted, ``invalid_grant`` where nothing of that is left.
    """
    allowed = client.scopes
    gone = [scope for scope in granted if scope not in allowed or scope not in registry]
    if not (requested or gone):
        return None
    left = tuple(scope for scope in granted if scope not in gone)
    if granted and not left:
        raise OAuthError(
            INVALID_GRANT,
            "The client may have none of the scopes that were granted any more; begin a new authorization.",
        )
    wanted = left
    if requested:
        covered = registry.expand(granted)
        if beyond := [scope for scope in requested if scope not in covered]:
            raise OAuthError(INVALID_SCOPE, f"scope {beyond[0]} was not granted; a token request can only narrow.")
        covered = registry.expand(left)
        wanted = tuple(scope for scope in requested if scope in covered)
        if not wanted:
            raise OAuthError(INVALID_SCOPE, f"scope {requested[0]} is not allowed to this client any more.")
    return None if set(wanted) == set(granted) else wanted
