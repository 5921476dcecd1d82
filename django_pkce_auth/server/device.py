"""The device authorization grant as a service: begin, find by what the person types, approve or deny (RFC 8628)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, router, transaction

from .. import conf
from ..protocol.device import (
    DEFAULT_INTERVAL_SECONDS,
    USER_CODE_LENGTH,
    USER_CODE_LETTERS,
    DeviceAuthorizationResponse,
    show_user_code,
)
from ..protocol.scopes import format_scope
from ..secrets import DEVICE_CODE, digest, generate, generate_from
from .consent import remember
from .events import record
from .models import Client, Consent, DeviceCode
from .remembered import Remembered

TRIES = 5
"""How often another user code is drawn where the first is in use: 34 bits are short of unique."""


def begin(
    client: Client,
    *,
    scopes: tuple[str, ...],
    resources: tuple[str, ...] = (),
    verification_uri: str,
    settings: conf.Settings,
    now: datetime,
) -> DeviceAuthorizationResponse:
    """Insert a device code and return what the device shows its user."""
    using = router.db_for_write(DeviceCode)
    raw = generate(DEVICE_CODE)
    for tries_left in reversed(range(TRIES)):
        user_code = generate_from(USER_CODE_LETTERS, USER_CODE_LENGTH)
        try:
            with transaction.atomic(using=using):
                DeviceCode(
                    digest=digest(raw),
                    user_code_digest=digest(user_code),
                    client=client,
                    created_at=now,
                    expires_at=now + settings.device_code_lifetime,
                    interval=DEFAULT_INTERVAL_SECONDS,
                    scope=format_scope(scopes),
                    resource=" ".join(resources) or None,
                ).save(force_insert=True, using=using)
            break
        except IntegrityError:
            if not tries_left:
                raise
    shown = show_user_code(user_code)
    return DeviceAuthorizationResponse(
        device_code=raw,
        user_code=shown,
        verification_uri=verification_uri,
        verification_uri_complete=f"{verification_uri}?user_code={shown}",
        expires_in=int(settings.device_code_lifetime.total_seconds()),
    )


def find_waiting(user_code: str, *, now: datetime) -> DeviceCode | None:
    """Return the device that waits under this code and still may; None where none does."""
    waiting = DeviceCode.objects.primary().filter(
        user_code_digest=digest(user_code), expires_at__gt=now, approved_at=None, denied_at=None
    )
    found: DeviceCode | None = waiting.select_related("client__registered_by").first()
    return found if found is not None and found.client.disabled_at is None else None


def approve_device(
    device: DeviceCode, *, user: Any, scopes: tuple[str, ...], settings: conf.Settings, now: datetime
) -> bool:
    """Let the device have ``scopes`` of ``user``; False where somebody answered in the meantime."""
    using = router.db_for_write(DeviceCode)
    client = device.client
    consent = Consent.objects.using(using).filter(user=user, client=client).first()
    before = consent.remembered if consent else Remembered()
    allowed = before.adding(scopes, device.resources, own=settings.resources.own.identifier)
    with transaction.atomic(using=using):
        remember(allowed, before=before, user=user, client=client, scopes=scopes, now=now, using=using, was_asked=True)
        if not _unanswered(device, using).update(approved_at=now, user=user, scope=format_scope(scopes)):
            transaction.set_rollback(True, using=using)
            return False
        record("code_issued", client=client, user=user, using=using, scopes=list(scopes))
    return True


def deny_device(device: DeviceCode, *, now: datetime) -> bool:
    return bool(_unanswered(device, router.db_for_write(DeviceCode)).update(denied_at=now))


def _unanswered(device: DeviceCode, using: str) -> Any:
    return DeviceCode.objects.using(using).filter(pk=device.pk, approved_at=None, denied_at=None)
