"""GET /.well-known/oauth-authorization-server (RFC 8414), made from what the URLconf and the grants hold."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from ... import conf
from ...protocol.authentication_methods import AUTHENTICATION_METHODS, NONE
from ...protocol.metadata import server_document
from ...published import published_json
from ..grants import GRANTS

ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "device_authorization_endpoint": "device_authorization",
    "jwks_uri": "jwks",
}
_CONFIDENTIAL_METHODS = [method for method in AUTHENTICATION_METHODS if method != NONE]


def _document() -> dict[str, object]:
    settings = conf.settings()
    endpoints = {}
    for member, name in ENDPOINTS.items():
        try:
            endpoints[member] = settings.absolute(reverse(f"pkce_auth:{name}"))
        except NoReverseMatch:  # a project may leave an endpoint out of its URLconf
            continue
    return server_document(
        settings.issuer,
        endpoints=endpoints,
        grant_types_supported=list(GRANTS),
        scopes_supported=list(settings.scopes) or None,
        revocation_endpoint_auth_methods_supported=list(AUTHENTICATION_METHODS),
        introspection_endpoint_auth_methods_supported=_CONFIDENTIAL_METHODS,
    )


@require_safe
def metadata(request: HttpRequest, issuer_path: str = "") -> HttpResponse:
    """Answer at the root, and behind it with the issuer's own path, where RFC 8414 §3.1 puts it; nowhere else."""
    if issuer_path.rstrip("/") not in ("", conf.settings().issuer_path):
        raise Http404("no issuer of this project has that path")
    return published_json(request, _document())
