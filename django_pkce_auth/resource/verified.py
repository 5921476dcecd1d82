"""Tokens that were verified a moment ago, in Django's cache: only where ``TOKEN_CACHE_LIFETIME`` asks for it.

An entry has no secret: ids, scopes and times, under a digest of the token's digest. What ends access leaves a mark at
what it ended, a family, a client or a user, and an entry counts only where none of its marks is there. A mark lives
twice as long as any entry, so an entry that is written late, by a request that read just before the end, is no hole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.models.signals import post_delete, post_save
from django.utils.functional import SimpleLazyObject

from .. import conf
from ..secrets import digest
from ..server.models import Client
from ..signals import family_revoked

if TYPE_CHECKING:
    from ..server.live_tokens import LiveToken
    from .grant import Grant

logger = logging.getLogger("django_pkce_auth.resource")

PREFIX: Final = "pkce_auth:verified"
SLOW_SECONDS, PAUSE_SECONDS = 0.1, 5.0
"""A cache that fails after so long, as one that hangs, is left alone for so long: each request would wait for it."""


def recall(raw_token: str, *, settings: conf.Settings, now: datetime) -> Grant | None:
    """Return what the token allowed when it was verified, within the lifetime of the cache; None: ask the database."""
    lifetime = settings.token_cache_lifetime
    if lifetime is None or time.monotonic() < _pauses["end"]:
        return None
    began = time.monotonic()
    try:
        entry = cache.get(_key(raw_token))
        if not isinstance(entry, dict) or cache.get_many(_marks(entry)):
            return None
        return _allowed(entry, lifetime=lifetime, now=now)
    except Exception:
        # A cache that is down, or holds what another release put in, must not take the API down with it.
        _pause(began)
        logger.warning("The cache of verified tokens can't be read", exc_info=True)
        return None


def _allowed(entry: Mapping[str, Any], *, lifetime: timedelta, now: datetime) -> Grant | None:
    # By our own clock, whatever the cache makes of a time-out.
    if abs(now.timestamp() - entry["at"]) >= lifetime.total_seconds() or now.timestamp() >= entry["ends"]:
        return None
    from .grant import Grant

    return Grant(
        client_id=entry["client_id"],
        scopes=tuple(entry["scopes"]),
        expires_at=datetime.fromtimestamp(entry["expires"], UTC),
        client=cast(Client, SimpleLazyObject(partial(_client, entry["client"]))),
        user=_user(entry["user"]),
        service_user=_user(entry["service_user"]),
        subject=None if entry["user"] is None else str(entry["user"]),
        resources=tuple(entry["resources"]),
    )


def keep(raw_token: str, token: LiveToken, *, settings: conf.Settings, now: datetime) -> None:
    """Remember that the token was found valid at ``now``."""
    lifetime = settings.token_cache_lifetime
    if lifetime is None or time.monotonic() < _pauses["end"]:
        return
    entry = {
        "at": now.timestamp(),
        "ends": token.ends_at.timestamp(),
        "expires": token.columns.expires_at.timestamp(),
        "family": token.columns.family_id,
        "client": token.columns.family__client_id,
        "client_id": token.client_id,
        "user": None if token.user is None else token.user.pk,
        "service_user": None if token.service_user is None else token.service_user.pk,
        "scopes": token.scopes,
        "resources": token.resources,
    }
    began = time.monotonic()
    try:
        cache.set(_key(raw_token), entry, lifetime.total_seconds())
    except Exception:
        _pause(began)
        logger.warning("The cache of verified tokens can't be written", exc_info=True)


_pauses = {"end": 0.0}


def _pause(began: float) -> None:
    now = time.monotonic()
    if now - began >= SLOW_SECONDS:
        _pauses["end"] = now + PAUSE_SECONDS


def connect() -> None:
    """Leave marks from now on, in this process."""
    family_revoked.connect(_on_family_revoked, dispatch_uid=f"{PREFIX}:family")
    for signal in (post_save, post_delete):
        signal.connect(_on_client_changed, sender=Client, dispatch_uid=f"{PREFIX}:client")
    # Signals name the class that was saved, which may be a proxy of the user model.
    for model in apps.get_models():
        if issubclass(model, get_user_model()):
            post_save.connect(_on_user_saved, sender=model, dispatch_uid=f"{PREFIX}:user")
            post_delete.connect(_on_user_deleted, sender=model, dispatch_uid=f"{PREFIX}:user")


def _on_family_revoked(family: int, **kwargs: Any) -> None:
    _mark("family", family)  # sent after the commit


def _on_client_changed(instance: Client, using: str, created: bool = False, **kwargs: Any) -> None:
    if not created:
        transaction.on_commit(partial(_mark, "client", instance.pk), using=using)


def _on_user_saved(instance: Any, using: str, **kwargs: Any) -> None:
    if not instance.is_active:
        transaction.on_commit(partial(_mark, "user", instance.pk), using=using)


def _on_user_deleted(instance: Any, using: str, **kwargs: Any) -> None:
    transaction.on_commit(partial(_mark, "user", instance.pk), using=using)


def _mark(kind: str, pk: Any) -> None:
    try:
        lifetime = conf.settings().token_cache_lifetime
    except ImproperlyConfigured:
        return
    if lifetime is None:
        return
    try:
        cache.set(f"{PREFIX}:ended:{kind}:{pk}", 1, 2 * lifetime.total_seconds())
    except Exception:
        # What was ended has ended; the cache forgets it by itself within the lifetime.
        logger.exception(
            "The cache of verified tokens can't be told of an end: %s %s may work for up to %s more seconds",
            kind,
            pk,
            round(lifetime.total_seconds()),
        )


def _key(raw_token: str) -> str:
    return f"{PREFIX}:{digest(digest(raw_token).hex()).hex()}"


def _marks(entry: dict[str, Any]) -> list[str]:
    ended = [("family", entry["family"]), ("client", entry["client"])]
    ended += [("user", pk) for pk in (entry["user"], entry["service_user"]) if pk is not None]
    return [f"{PREFIX}:ended:{kind}:{pk}" for kind, pk in ended]


def _client(pk: int) -> Client:
    client: Client = Client.objects.primary().get(pk=pk)
    return client


def _user(pk: Any) -> Any:
    return None if pk is None else SimpleLazyObject(partial(_active_user, pk))


def _active_user(pk: Any) -> Any:
    """Return the user as it is by now; nobody, where it has gone or been deactivated since."""
    model = get_user_model()
    user = model._base_manager.using(router.db_for_write(model)).filter(pk=pk).first()
    return user if user is not None and user.is_active else AnonymousUser()
