"""POST /oauth/introspect (RFC 7662)."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse

from ... import conf
from ...protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from ...protocol.introspection import IntrospectionRequest, IntrospectionResponse
from ...secrets import REFRESH_TOKEN
from ..last_used import note_use
from ..live_tokens import LiveToken, live_token, lookup
from ..lookups import find_client_and
from ..models import AccessToken, Client, RefreshToken
from ..responses import json_response
from .endpoint import ClientRequest, client_endpoint


@client_endpoint
def introspect(request: HttpRequest, message: ClientRequest) -> HttpResponse:
    """Say whether a token is active. Whose tokens a client may ask about is its ``introspects``."""
    wanted = IntrospectionRequest.decode(message.parameters)
    # Our prefix tells the kind, so no hint is needed.
    model = RefreshToken if wanted.token.startswith(REFRESH_TOKEN) else AccessToken
    caller, asked = find_client_and(lookup(model, wanted.token), message.credentials.client_id)
    client = message.authenticate(found=caller)
    if not client.is_confidential:
        raise OAuthError(UNAUTHORIZED_CLIENT, "A public client may not introspect, as anybody can be it.")
    token = live_token(model, asked(), now=message.now)
    if token is None or not _may_know(client, token, model):
        return json_response(IntrospectionResponse(active=False).encode())
    if model is AccessToken:
        # An API of another project asks; what it lets in is used there as it would be here.
        note_use(token.columns.family_id, token.columns.family__last_used_at, now=message.now)
    return json_response(_describe(token, model, to=client, issuer=conf.settings().issuer).encode())


def _may_know(client: Client, token: LiveToken, model: type[AccessToken | RefreshToken]) -> bool:
    """A refresh token is for its client and this server alone (RFC 6749 §1.5).

    Many APIs look at ``active`` and no further, and would take one that was stolen for an access token, without the
    secret that it takes here.
    """
    return token.columns.family__client_id == client.id or (model is AccessToken and _is_resource_server(client))


def _is_resource_server(client: Client) -> bool:
    return client.introspects == Client.Introspects.ALL


def _describe(
    token: LiveToken, model: type[AccessToken | RefreshToken], *, to: Client, issuer: str
) -> IntrospectionResponse:
    return IntrospectionResponse(
        active=True,
        client_id=token.client_id,
        # The name to log in with is often an address, and no scope that an app was allowed says that it learns it.
        username=token.user.get_username() if token.user is not None and _is_resource_server(to) else None,
        sub=None if token.user is None else str(token.user.pk),
        scopes=token.scopes,
        token_type="Bearer" if model is AccessToken else None,
        exp=_seconds(token.columns.expires_at),
        iat=_seconds(token.columns.created_at),
        iss=issuer,
        audience=token.resources or (issuer,),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
