"""grant_type=authorization_code (RFC 6749 §4.1.3, RFC 7636 §4.5)."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import cast

from django.db import router

from ...compiled import Update
from ...conf import Settings
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_GRANT, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.pkce import verify
from ...protocol.token import AuthorizationCodeTokenRequest, TokenResponse
from ...statement import Slot
from ..authenticate import authenticate, require_grant_type
from ..events import record
from ..issue import redeem
from ..lookups import find_code
from ..models import AuthorizationCode, Client, TokenFamily
from ..revoke import revoke_family

logger = logging.getLogger("django_pkce_auth.server")

_CLAIM = Update(
    lambda: AuthorizationCode.objects.filter(digest=Slot(AuthorizationCode, "digest"), family=None),
    family=Slot(AuthorizationCode, "family"),
)


def exchange_code(
    parameters: Parameters, credentials: ClientCredentials, *, settings: Settings, now: datetime
) -> TokenResponse:
    """Redeem a code: authenticate, prove possession, claim, then issue; raises OAuthError."""
    request = AuthorizationCodeTokenRequest.decode(parameters)
    code, owner = find_code(request.code, secrets=credentials.has_secret)
    client = authenticate(credentials, found=owner, now=now)
    require_grant_type(client, request.grant_type)
    if code is None or code.client_id != client.id:
        raise _refused("unknown, or another client's")
    _prove_possession(code, request)
    using = router.db_for_write(AuthorizationCode)
    if code.family_id is None:
        if code.expires_at <= now:
            raise _refused("expired")
        if not code.user.is_active:
            raise _refused("its user is deactivated")
        response = redeem(
            code,
            client,
            claim=_CLAIM,
            grant_type=request.grant_type,
            resources=request.resources,
            settings=settings,
            now=now,
            using=using,
        )
        if response is not None:
            return response
    if _revoke_replayed(code, client, now=now, using=using):
        raise _refused("redeemed before; what it gave is revoked")
    raise _refused("withdrawn or removed in the meantime")


def _prove_possession(code: AuthorizationCode, request: AuthorizationCodeTokenRequest) -> None:
    # OAuth 2.1 §10.2: a request without redirect_uri is one of 2.1, as PKCE does what the comparison did.
    if request.redirect_uri is not None and request.redirect_uri != code.redirect_uri:
        raise OAuthError(
            INVALID_GRANT, "redirect_uri is not the one of the authorization request; send the same string again."
        )
    verify(cast(str, request.code_verifier), code.code_challenge)


def _revoke_replayed(code: AuthorizationCode, client: Client, *, now: datetime, using: str) -> bool:
    """A second redemption with every proof: code and verifier are in two hands (RFC 6749 §4.1.2, OAuth 2.1 §4.1.3).

    False where there was no first one, as the code is gone.
    """
    family_id = AuthorizationCode.objects.using(using).filter(pk=code.pk).values_list("family", flat=True).first()
    if family_id is not None:
        reason = TokenFamily.Reason.REPLAY
        revoke_family(family_id, reason=reason, now=now, using=using, client=client, user=code.user)
        record(
            "reuse_detected",
            client=client,
            user=code.user,
            family=family_id,
            using=using,
            what="authorization_code",
        )
    return family_id is not None


def _refused(why: str) -> OAuthError:
    logger.info("Authorization code refused: %s", why, extra={"event": "code_refused", "reason": why})
    return OAuthError(
        INVALID_GRANT,
        "The code is unknown, expired, already redeemed, or was issued to another client; begin a new authorization.",
    )
