"""The security scheme that OpenAPI documents show: our authorization code flow, with our URLs and scopes."""

from __future__ import annotations

import logging
from typing import Any

from django.urls import NoReverseMatch, reverse

from .. import conf
from ..authorization_server import AuthorizationServer
from ..discovery import Unpublished, server_metadata
from ..transport import HttpTransport

logger = logging.getLogger("django_pkce_auth.resource")


def security_scheme() -> dict[str, Any]:
    """Return the OAuth2 scheme object (OpenAPI 3.1 §4.8.27); its URLs come from the issuer, never from Host.

    Where another project issues the tokens they are those that it publishes. While none are known, no flow is shown.
    """
    settings = conf.settings()
    try:
        urls = _own_urls(settings) if settings.authorization_server is None else _urls_of(settings.authorization_server)
    except Unpublished as error:
        logger.warning("The OpenAPI document shows no flow: %s", error)
        return {"type": "oauth2", "flows": {}}
    scopes = {scope.name: str(scope.words) for scope in settings.scopes.values()}
    return {"type": "oauth2", "flows": {"authorizationCode": {**urls, "scopes": scopes}}}


def _own_urls(settings: conf.Settings) -> dict[str, str]:
    try:
        token_url = settings.absolute(reverse("pkce_auth:token"))
        authorization_url = settings.absolute(reverse("pkce_auth:authorize"))
    except NoReverseMatch:
        raise Unpublished("the URLconf of this request has no authorization server.") from None
    return {"authorizationUrl": authorization_url, "tokenUrl": token_url, "refreshUrl": token_url}


def _urls_of(server: AuthorizationServer) -> dict[str, str]:
    metadata = server_metadata(server.issuer, transport=HttpTransport())
    authorization_url, token_url = metadata.authorization_endpoint, metadata.token_endpoint
    if not authorization_url or not token_url:
        raise Unpublished(f"{server.issuer} publishes no addresses of the flow.")
    return {"authorizationUrl": authorization_url, "tokenUrl": token_url, "refreshUrl": token_url}
