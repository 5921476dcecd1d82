"""Protected resource metadata: which server issues tokens for a resource, and with which scopes (RFC 9728)."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import NoReverseMatch, reverse

from ..conf import Settings
from ..resource_registry import Resource

OFFLINE_ACCESS = "offline_access"
"""What a client asks the server for and no resource: it says that refresh tokens are wanted, and opens nothing."""


def metadata_url(resource: Resource, *, settings: Settings) -> str:
    """Return where the document of ``resource`` lies; empty for one on another host, or where no URL leads there."""
    if not resource.identifier.startswith(f"{settings.origin}/") and resource.identifier != settings.origin:
        return ""
    try:
        # The well-known part stands between host and path (§3.1).
        return settings.absolute(reverse("pkce_auth:resource_metadata")) + resource.path
    except NoReverseMatch:
        return ""


def opening(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return those of the scopes that open anything at a resource."""
    return tuple(scope for scope in scopes if scope != OFFLINE_ACCESS)


def document(resource: Resource, *, settings: Settings) -> dict[str, object]:
    """Return what is published of ``resource`` (§2); a member that is not known is left out."""
    scopes = resource.scopes or (settings.scopes if resource.is_own else ())
    members: dict[str, object] = {
        "resource": resource.identifier,
        "resource_name": str(resource.name),
        "authorization_servers": [server.issuer if (server := settings.authorization_server) else settings.issuer],
        "scopes_supported": list(opening(scopes)),
        "bearer_methods_supported": ["header"],
    }
    return {name: value for name, value in members.items() if value}
