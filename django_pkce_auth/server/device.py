"""The device authorization grant as a service: begin, find by what the person types, approve or deny (RFC 8628)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet

from .. import conf
from ..compiled import Update
from ..protocol.device import (
    DEFAULT_INTERVAL_SECONDS,
    USER_CODE_LENGTH,
    USER_CODE_LETTERS,
    DeviceAuthorizationResponse,
    show_user_code,
)
from ..protocol.scopes import format_scope
from ..secrets import DEVICE_CODE, digest, generate, generate_from
from ..statement import Slot
from .authenticate import UNKNOWN, ClientRefused
from .consent import changed, remember, remembered
from .models import Client, DeviceCode
from .purge import purge_sometimes

TRIES = 5
"""How often another user code is drawn where the first is in use: 34 bits are short of unique."""


_APPROVE = Update(
    lambda: DeviceCode.objects.filter(digest=Slot(DeviceCode, "digest"), approved_at=None, denied_at=None),
    **{name: Slot(DeviceCode, name) for name in ("user", "approved_at", "scope")},
)


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
        except IntegrityError as error:
            if not Client.objects.using(using).filter(pk=client.pk).exists():
                # It was removed since it authenticated.
                raise ClientRefused(client.client_id, UNKNOWN) from error
            if not tries_left:
                raise
    purge_sometimes(digest(raw), now=now, using=using)
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
    """Let the device have ``scopes`` of ``user``; False where somebody answered in the meantime.

    Raises OAuthError where nothing could be stored, and nothing was.
    """
    using = router.db_for_write(DeviceCode)
    approval = {"digest": device.digest, "user": user.pk, "approved_at": now, "scope": format_scope(scopes)}
    stored = remember(
        remembered(user=user, client=device.client, using=using),
        code=(_APPROVE, approval),
        user=user,
        client=device.client,
        scopes=scopes,
        resources=device.resources,
        settings=settings,
        now=now,
        using=using,
        was_asked=True,
    )
    if not stored and _unanswered(device).exists():
        # The user is gone: a database that inserts unless there is such a row may take that for one, and say nothing.
        raise changed()
    return stored


def deny_device(device: DeviceCode, *, now: datetime) -> bool:
    return bool(_unanswered(device).update(denied_at=now))


def _unanswered(device: DeviceCode) -> QuerySet[DeviceCode]:
    using = router.db_for_write(DeviceCode)
    return DeviceCode.objects.using(using).filter(pk=device.pk, approved_at=None, denied_at=None)
