"""POST /oauth/revoke (RFC 7009)."""

from __future__ import annotations

from django.db import router
from django.http import HttpRequest, HttpResponse

from ...protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from ...protocol.revocation import RevocationRequest
from ..lookups import find_token
from ..models import TokenFamily
from ..responses import json_response
from ..revoke import revoke_family
from .endpoint import ClientRequest, client_endpoint


@client_endpoint
def revoke(request: HttpRequest, message: ClientRequest) -> HttpResponse:
    """End the family of a token of the client's own; a token that is unknown is as good as revoked (§2.2)."""
    wanted = RevocationRequest.decode(message.parameters)
    client = message.authenticate()
    token = find_token(wanted.token)
    if token is not None and token.family.client_id != client.pk:
        raise OAuthError(
            UNAUTHORIZED_CLIENT, "The token was issued to another client, and only that one may revoke it."
        )
    if token is not None:
        family, using = token.family, router.db_for_write(TokenFamily)
        reason = TokenFamily.Reason.CLIENT
        revoke_family(family.pk, reason=reason, now=message.now, using=using, client=family.client, user=family.user)
    return json_response({})
