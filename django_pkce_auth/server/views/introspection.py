"""POST /oauth/introspect (RFC 7662)."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse

from ... import conf
from ...protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from ...protocol.introspection import IntrospectionRequest, IntrospectionResponse
from ..models import AccessToken, Client, RefreshToken
from ..responses import json_response
from ..tokens import find_token
from .endpoint import ClientRequest, client_endpoint


@client_endpoint
def introspect(request: HttpRequest, message: ClientRequest) -> HttpResponse:
    """Say whether a token is active. Whose tokens a client may ask about is its ``introspects``."""
    wanted = IntrospectionRequest.decode(message.parameters)
    client = message.authenticate()
    if not client.is_confidential:
        raise OAuthError(UNAUTHORIZED_CLIENT, "A public client may not introspect, as anybody can be it.")
    token = find_token(wanted.token)
    if token is None or not _may_know(client, token) or not token.is_live(message.now):
        return json_response(IntrospectionResponse(active=False).encode())
    return json_response(_describe(token, issuer=conf.settings().issuer).encode())


def _may_know(client: Client, token: AccessToken | RefreshToken) -> bool:
    return client.introspects == Client.Introspects.ALL or token.family.client_id == client.pk


def _describe(token: AccessToken | RefreshToken, *, issuer: str) -> IntrospectionResponse:
    family = token.family
    return IntrospectionResponse(
        active=True,
        client_id=family.client.client_id,
        username=family.user.get_username() if family.user else None,
        sub=str(family.user.pk) if family.user else None,
        scopes=token.scopes if isinstance(token, AccessToken) else family.scopes,
        token_type="Bearer" if isinstance(token, AccessToken) else None,
        exp=_seconds(token.expires_at),
        iat=_seconds(token.created_at),
        iss=issuer,
        audience=(token.resources if isinstance(token, AccessToken) else family.resources) or (issuer,),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
