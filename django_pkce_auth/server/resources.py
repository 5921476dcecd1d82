"""Which protected resources a token is bound to (RFC 8707)."""

from __future__ import annotations

from ..protocol.errors import INVALID_GRANT, INVALID_TARGET, OAuthError
from ..resource_registry import ResourceRegistry
from .models import Client


def allowed_resources(requested: tuple[str, ...], *, client: Client, registry: ResourceRegistry) -> tuple[str, ...]:
    """Return the identifiers that a request names, or the client's own; empty: this project itself.

    Raises OAuthError ``invalid_target`` for one that is unknown, or not among the client's where it has a list, and
    where nothing of that list is in the settings any more.
    """
    own = client.resources.split()
    named = []
    for identifier in requested:
        resource = registry.named(identifier)
        if resource is None or (own and resource.identifier not in own):
            raise OAuthError(
                INVALID_TARGET, "resource names one that does not exist here or is not allowed to this client."
            )
        named.append(resource.identifier)
    bound = tuple(dict.fromkeys(named or (each for each in own if each in registry)))
    if own and not bound:
        raise OAuthError(INVALID_TARGET, "This server has none of the client's resources any more.")
    return () if bound == (registry.own.identifier,) else bound


def narrowed_resources(
    requested: tuple[str, ...], granted: tuple[str, ...], *, client: Client, registry: ResourceRegistry
) -> tuple[str, ...] | None:
    """Return what a token request narrows its access token to, None where it is all that was granted (§2.2).

    What was taken from the client or from the settings since then is left out. Raises OAuthError: ``invalid_target``
    for what was not granted, ``invalid_grant`` where nothing of that is left.
    """
    if not (requested or granted or client.resources):
        return None
    within, own = granted or (registry.own.identifier,), client.resources.split()
    left = tuple(each for each in within if each in registry and (not own or each in own))
    if not left:
        raise OAuthError(
            INVALID_GRANT,
            "The client may use none of the resources that were granted any more; begin a new authorization.",
        )
    wanted = left
    if requested:
        named = [registry.named(identifier) for identifier in requested]
        identifiers = tuple(dict.fromkeys(resource.identifier for resource in named if resource is not None))
        if None in named or not set(identifiers) <= set(within):
            raise OAuthError(INVALID_TARGET, "resource names one that this authorization was not granted for.")
        wanted = tuple(identifier for identifier in identifiers if identifier in left)
        if not wanted:
            raise OAuthError(INVALID_TARGET, "resource names one that is not allowed to this client any more.")
    return None if set(wanted) == set(within) else wanted
