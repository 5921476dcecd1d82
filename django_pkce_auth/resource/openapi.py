"""The security scheme that OpenAPI documents show: our authorization code flow, with our URLs and scopes."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from .. import conf


def security_scheme() -> dict[str, Any]:
    """Return the OAuth2 scheme object (OpenAPI 3.1 §4.8.27); its URLs come from the issuer, never from Host."""
    settings = conf.settings()
    token_url = settings.absolute(reverse("pkce_auth:token"))
    flow = {
        "authorizationUrl": settings.absolute(reverse("pkce_auth:authorize")),
        "tokenUrl": token_url,
        "refreshUrl": token_url,
        "scopes": {scope.name: str(scope.words) for scope in settings.scopes.values()},
    }
    return {"type": "oauth2", "flows": {"authorizationCode": flow}}
