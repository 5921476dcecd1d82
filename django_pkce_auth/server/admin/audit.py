"""The audit log, for reading. It fills where ``PKCE_AUTH["AUDIT"]`` is on."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..audit_entry import AuditEntry
from ..events import EVENTS
from .read_only import FOUND_AT_MOST, ReadOnlyAdmin, users_named


class EventFilter(admin.SimpleListFilter):
    """By event, from the list of those that there are: the table is not asked for them."""

    title = _("event")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(event, event.replace("_", " ")) for event in EVENTS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(event=self.value()) if self.value() in EVENTS else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "event", "client_id", "user_id", "of_family", "told")
    list_filter = (EventFilter,)
    ordering = ("-pk",)
    fields = ("at", "event", "client_id", "user_id", "of_family", "told")
    readonly_fields = ("of_family", "told")
    actions = None
    search_help_text = _("A client ID, or the whole name or the key of a user.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Search by client and user. Entries outlive both and hold no foreign keys, so a name becomes a key first."""
        term = search_term.strip()
        if not term:
            return queryset, False
        users = [str(pk) for pk in users_named(term).values_list("pk", flat=True)[:FOUND_AT_MOST]]
        return queryset.filter(Q(client_id=term) | Q(user_id__in=[term, *users])), False

    @admin.display(description=_("token family"))
    def of_family(self, obj: AuditEntry) -> str:
        """A link that may lead to a family which is gone by now; the admin says so."""
        if obj.family is None:
            return "-"
        url = reverse("admin:pkce_auth_tokenfamily_change", args=[obj.family])
        return format_html('<a href="{}">{}</a>', url, obj.family)

    @admin.display(description=_("facts"))
    def told(self, obj: AuditEntry) -> str:
        return "; ".join(f"{name}: {_shown(value)}" for name, value in obj.facts.items()) or "-"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value)
