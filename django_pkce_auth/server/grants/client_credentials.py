"""grant_type=client_credentials: a client acts for itself (RFC 6749 §4.4)."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.db import IntegrityError, router

from ...conf import Settings
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.scopes import format_scope
from ...protocol.token import ClientCredentialsTokenRequest, TokenResponse
from ..authenticate import UNKNOWN, ClientRefused, authenticate, require_grant_type
from ..events import record, recording
from ..issue import issue_tokens, new_family
from ..models import TokenFamily
from ..resources import allowed_resources
from ..scopes import allowed_scopes


def exchange_client_credentials(
    parameters: Parameters, credentials: ClientCredentials, *, settings: Settings, now: datetime
) -> TokenResponse:
    """Give an access token without a user, and no refresh token: the client can just ask again (§4.4.3)."""
    request = ClientCredentialsTokenRequest.decode(parameters)
    client = authenticate(credentials, found=None, now=now)
    require_grant_type(client, request.grant_type)
    if not client.is_confidential:
        raise OAuthError(UNAUTHORIZED_CLIENT, "A public client has no identity of its own to act with.")
    scopes = allowed_scopes(request.scopes, client=client, registry=settings.scopes)
    resources = allowed_resources(request.resources, client=client, registry=settings.resources)
    using = router.db_for_write(TokenFamily)
    family = new_family(
        client=client,
        user_id=None,
        scope=format_scope(scopes),
        resource=" ".join(resources) or None,
        settings=settings,
        now=now,
        using=using,
    )
    try:
        with recording(using):
            # No claim: a client may ask as often as it likes.
            response = cast(TokenResponse, issue_tokens(family, settings=settings, now=now, using=using))
            record("tokens_issued", client=client, family=family.id, using=using, grant_type=request.grant_type)
    except IntegrityError as error:
        # It was removed since it authenticated.
        raise ClientRefused(client.client_id, UNKNOWN) from error
    return response
