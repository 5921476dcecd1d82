"""grant_type=urn:ietf:params:oauth:grant-type:device_code (RFC 8628 §3.4, §3.5)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import router
from django.db.models import F, QuerySet

from ...compiled import Update
from ...conf import Settings
from ...protocol.client_authentication import ClientCredentials
from ...protocol.device import AUTHORIZATION_PENDING, EXPIRED_TOKEN, SLOW_DOWN, DeviceTokenRequest
from ...protocol.errors import ACCESS_DENIED, INVALID_GRANT, OAuthError
from ...protocol.parameters import Parameters
from ...protocol.token import TokenResponse
from ...statement import Slot, together
from ..authenticate import authenticate, require_grant_type
from ..issue import redeem
from ..lookups import find_device_code
from ..models import Client, DeviceCode

SLOW_DOWN_SECONDS = 5
"""What each poll that came too early adds to the interval (RFC 8628 §3.5)."""
TOLERANCE = timedelta(milliseconds=500)


def _unclaimed() -> QuerySet[DeviceCode]:
    return DeviceCode.objects.filter(digest=Slot(DeviceCode, "digest"), family=None)


_HOLD = Update(_unclaimed, polled_at=Slot(DeviceCode, "polled_at"))
_CLAIM = Update(_unclaimed, family=Slot(DeviceCode, "family"))


def exchange_device_code(
    parameters: Parameters, credentials: ClientCredentials, *, settings: Settings, now: datetime
) -> TokenResponse:
    """Answer a poll: the tokens, or why there are none yet; raises OAuthError."""
    request = DeviceTokenRequest.decode(parameters)
    device, owner = find_device_code(request.device_code, secrets=credentials.has_secret)
    client = authenticate(credentials, found=owner, now=now)
    require_grant_type(client, request.grant_type)
    if device is None or device.client_id != client.pk or device.family_id is not None:
        raise _used()
    if device.denied_at is not None:
        raise OAuthError(ACCESS_DENIED, "The user denied the request.")
    if device.expires_at <= now:
        raise OAuthError(EXPIRED_TOKEN, "The device code has expired; begin a new device authorization.")
    if device.approved_at is None:
        raise _waiting(device, now)
    if device.user is None or not device.user.is_active:
        raise OAuthError(ACCESS_DENIED, "The user is deactivated.")
    return _redeem(device, client, request.resources, settings=settings, now=now)


def _waiting(device: DeviceCode, now: datetime) -> OAuthError:
    """Note the poll; one that came before its time makes the interval longer."""
    row = DeviceCode.objects.using(device._state.db).filter(pk=device.pk)
    due = None if device.polled_at is None else device.polled_at + timedelta(seconds=device.interval) - TOLERANCE
    if due is not None and now < due:
        row.update(polled_at=now, interval=F("interval") + SLOW_DOWN_SECONDS)
        return OAuthError(SLOW_DOWN, f"Poll every {device.interval + SLOW_DOWN_SECONDS} seconds at most from now on.")
    row.update(polled_at=now)
    return OAuthError(AUTHORIZATION_PENDING, f"The user has not answered yet; poll again in {device.interval} seconds.")


def _redeem(
    device: DeviceCode, client: Client, resources: tuple[str, ...], *, settings: Settings, now: datetime
) -> TokenResponse:
    """Claim and issue in one transaction, as with an authorization code.

    The row is held before the family is there. Devices poll many times at once, and where the database lets nobody
    pass a row that is not committed (InnoDB), each of them would stand in the way of a withdrawal that has the code.
    """
    using = router.db_for_write(DeviceCode)
    with together(using):
        response = None
        if _HOLD.run(using, digest=device.digest, polled_at=now):
            response = redeem(
                device,
                client,
                claim=_CLAIM,
                grant_type=DeviceTokenRequest.grant_type,
                resources=resources,
                settings=settings,
                now=now,
                using=using,
            )
    if response is None:
        raise _used()
    return response


def _used() -> OAuthError:
    return OAuthError(
        INVALID_GRANT, "The device code is unknown, already redeemed, or was issued to another client; begin anew."
    )
