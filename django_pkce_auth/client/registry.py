"""Which providers there are: those of the settings, then those of the admin."""

from __future__ import annotations

import logging
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured
from django.db import router

from ..conf import Settings
from ..provider_settings import ProviderSettings, parse_provider
from ..transport import HttpTransport, Transport
from .models import Provider

logger = logging.getLogger("django_pkce_auth.client")


def find_entry(slug: str, *, settings: Settings) -> ProviderSettings | None:
    """Return what is known of a provider, or None. One query where the settings do not have it."""
    entry = settings.providers.get(slug)
    if entry is not None:
        return entry
    row = Provider.objects.using(router.db_for_write(Provider)).filter(slug=slug, enabled=True).first()
    # Some databases compare text without regard to case.
    return _parse(row) if row is not None and row.slug == slug else None


def is_off(slug: str) -> bool:
    """True for a provider of the admin that can't be used just now. One query."""
    return Provider.objects.using(router.db_for_write(Provider)).filter(slug=slug).exists()


def all_entries(*, settings: Settings) -> dict[str, ProviderSettings]:
    """Return every provider by its slug; the settings go before the admin. One query."""
    rows = Provider.objects.using(router.db_for_write(Provider)).filter(enabled=True).order_by("name", "slug")
    entered = {row.slug: entry for row in rows if (entry := _parse(row))}
    return {**entered, **settings.providers}


def guarded(transport: Transport, entry: ProviderSettings) -> Transport:
    """Return a transport that reaches only what ``entry`` may name; a project's own kind guards itself."""
    return transport.guarded() if entry.from_admin and isinstance(transport, HttpTransport) else transport


def _parse(row: Provider) -> ProviderSettings | None:
    try:
        return replace(parse_provider(row.slug, row.entry()), from_admin=True)
    except ImproperlyConfigured as error:
        logger.error("The provider %s of the admin can't be used: %s", row.slug, error)
        return None
