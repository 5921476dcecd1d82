"""Counters for your monitoring: ``PKCE_AUTH["METRICS"]`` names one function of yours, ``count(name, **labels)``.

No label has a value of which there could be many, and none is of a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import Signal
from django.utils.module_loading import import_string

from . import conf, signals

logger = logging.getLogger("django_pkce_auth.metrics")

COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "code_issued": ("Users approved a request", ()),
    "tokens_issued": ("Authorizations gave their first tokens", ("grant_type",)),
    "tokens_refreshed": ("Refresh tokens gave new tokens", ()),
    "family_revoked": ("Authorizations were ended", ("reason",)),
    "reuse_detected": ("Codes or refresh tokens came twice", ("what",)),
    "client_authentication_failed": ("Clients failed to prove who they are", ("reason",)),
    "request_refused": ("The server's endpoints refused a request", ("endpoint", "error")),
    "token_verified": ("Guards looked at an access token: ok, no_token, or the error that they answered", ("result",)),
    "connection_made": ("Users connected an account", ("provider",)),
    "connection_refreshed": ("Connections got a new access token", ("provider",)),
    "connection_refresh_failed": ("Providers gave no usable answer to a refresh", ("provider",)),
    "connection_broken": ("Connections need their user to reconnect", ("provider",)),
    "connection_removed": ("Users disconnected an account", ("provider",)),
}
"""Counter → what it counts, in words, and the names of its labels."""


def count(name: str, **labels: str) -> None:
    """Tell that function of one more; whatever it raises is logged and harms nobody."""
    try:
        dotted = conf.settings().metrics
        if dotted:
            import_string(dotted)(name, **labels)
    except ImproperlyConfigured:
        return
    except Exception:
        logger.exception("PKCE_AUTH['METRICS'] failed to count %s %s", name, labels)


def connect() -> None:
    """Count what signals tell of, where the settings want it: a signal that nobody hears costs nothing."""
    setting_changed.connect(_follow, dispatch_uid="pkce_auth:metrics")
    _follow(setting="PKCE_AUTH")


def _follow(*, setting: str, **_: Any) -> None:
    if setting != "PKCE_AUTH":
        return
    raw = getattr(settings, "PKCE_AUTH", None)
    # Not parsed: what is wrong with the settings is for the system checks to say.
    wanted = isinstance(raw, Mapping) and bool(raw.get("METRICS"))
    for name, (_words, labels) in COUNTERS.items():
        signal = getattr(signals, name, None)
        if isinstance(signal, Signal):
            uid = f"pkce_auth:metrics:{name}"
            if wanted:
                signal.connect(_receiver(name, labels), weak=False, dispatch_uid=uid)
            else:
                signal.disconnect(dispatch_uid=uid)


def _receiver(name: str, labels: tuple[str, ...]) -> Callable[..., None]:
    def receive(**facts: Any) -> None:
        connection = facts.get("connection")
        known = {**facts, "provider": "" if connection is None else connection.provider}
        count(name, **{label: str(known[label]) for label in labels})

    return receive
