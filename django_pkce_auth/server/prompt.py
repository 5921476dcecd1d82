"""What the consent page shows, so that a person can judge who asks for what (OAuth 2.1 §7.9)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.core.cache import cache
from django.utils import formats, timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ..protocol.redirect_uris import host_of, is_loopback
from ..resource_registry import Resource
from ..scope_registry import Scope
from .consent import Question
from .models import Client, Consent

logger = logging.getLogger("django_pkce_auth.server")

MANY = 1000
"""Counting stops here: more than this many people is all that anybody needs to know."""


def prompt_context(
    client: Client,
    asked: Question,
    *,
    user: Any,
    action: str,
    redirect_uri: str = "",
    resources: tuple[Resource, ...] = (),
) -> dict[str, Any]:
    """Return the template's context. No query, but one an hour and client for how many people use it."""
    registered_by = client.registered_by
    return {
        "client": client,
        "client_host": host_of(redirect_uri) if redirect_uri else "",
        "redirect_uri": redirect_uri,
        "is_loopback": is_loopback(redirect_uri),
        "is_verified": client.verified_at is not None,
        "registered_by": registered_by.get_username() if registered_by else "",
        "people": _people(client),
        "registered_on": _day_of(client.created_at),
        "scope_sections": list(_sections(asked)),
        "scopes": asked.scopes,
        "resources": resources,
        "shown": " ".join(scope.name for scope in asked.scopes),
        "may_untick": len(asked.scopes) > 1,
        "account": user,
        "action": action,
    }


def _sections(asked: Question) -> Iterator[tuple[str, list[tuple[str, list[Scope]]]]]:
    """Yield a legend with what stands below it: scopes, under the words of their group where they have one."""
    if asked.new:
        groups = groupby(asked.new, attrgetter("group"))
        yield _("It will be able to"), [(group, list(scopes)) for group, scopes in groups]
    if asked.granted:
        yield _("You allowed before"), [("", list(asked.granted))]


def _day_of(moment: datetime) -> str:
    # Naive where a project does without time zones.
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return _written(local.date(), get_language())


@lru_cache(maxsize=1000)
def _written(day: date, language: str | None) -> str:
    """Return the date in words. To put them together is as much work as a whole paragraph of the page."""
    return formats.date_format(day, "DATE_FORMAT")


def _people(client: Client) -> int:
    """Return how many people here allowed the client something, at most ``MANY`` + 1, as it was within the hour."""

    def count() -> int:
        return Consent.objects.filter(client=client)[: MANY + 1].count()

    try:
        return int(cache.get_or_set(f"pkce_auth:people:{client.pk}", count, 3600) or 0)
    except Exception:
        # A cache that is down must not take the page down with it; a database that is down does.
        logger.warning("The cache did not keep how many people use a client", exc_info=True)
        return count()
