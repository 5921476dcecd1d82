"""GET /.well-known/oauth-authorization-server (RFC 8414), made from what the URLconf and the grants hold."""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from ... import conf
from ...protocol.client_authentication import AUTHENTICATION_METHODS, NONE
from ...protocol.metadata import server_document
from ...secrets import digest
from ..grants import GRANTS

MAX_AGE_SECONDS = 3600
ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "device_authorization_endpoint": "device_authorization",
}
_CONFIDENTIAL_METHODS = [method for method in AUTHENTICATION_METHODS if method != NONE]


def _body() -> bytes:
    settings = conf.settings()
    endpoints = {}
    for member, name in ENDPOINTS.items():
        try:
            endpoints[member] = settings.absolute(reverse(f"pkce_auth:{name}"))
        except NoReverseMatch:  # a project may leave an endpoint out of its URLconf
            continue
    document = server_document(
        settings.issuer,
        endpoints=endpoints,
        grant_types_supported=list(GRANTS),
        scopes_supported=list(settings.scopes) or None,
        revocation_endpoint_auth_methods_supported=list(AUTHENTICATION_METHODS),
        introspection_endpoint_auth_methods_supported=_CONFIDENTIAL_METHODS,
    )
    return json.dumps(document).encode()


@require_safe
def metadata(request: HttpRequest, issuer_path: str = "") -> HttpResponse:
    """Answer at the root, and behind it with the issuer's own path, where RFC 8414 §3.1 puts it; nowhere else."""
    if issuer_path.rstrip("/") not in ("", conf.settings().issuer_path):
        raise Http404("no issuer of this project has that path")
    body = _body()
    response = HttpResponse(body, content_type="application/json")
    response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    response["ETag"] = etag = quote_etag(digest(body.decode()).hex()[:32])
    answer = get_conditional_response(request, etag=etag, response=response) or response
    answer["Access-Control-Allow-Origin"] = "*"
    return answer
