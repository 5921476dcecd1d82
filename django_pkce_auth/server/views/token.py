"""POST /oauth/token (RFC 6749 §3.2)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ... import conf
from ...protocol.errors import UNSUPPORTED_GRANT_TYPE, OAuthError
from ..grants import GRANTS
from ..responses import json_response
from .endpoint import ClientRequest, client_endpoint


@client_endpoint
def token(request: HttpRequest, message: ClientRequest) -> HttpResponse:
    """Exchange a code, a refresh token, or whatever else ``GRANTS`` knows."""
    grant_type = message.parameters.require("grant_type")
    if grant_type not in GRANTS:
        raise OAuthError(UNSUPPORTED_GRANT_TYPE, f"grant_type is none of {', '.join(GRANTS)}.")
    grant = GRANTS[grant_type]
    response = grant(message.parameters, message.credentials, settings=conf.settings(), now=message.now)
    return json_response(response.encode())
