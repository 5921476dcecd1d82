"""What the admin's read-only pages have in common: rows that only the protocol makes, in tables that grow large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import Client

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

FOUND_AT_MOST = 100
"""How many clients and how many users one search term stands for."""


class ReadOnlyAdmin(ModelAdmin):
    """Nothing is added, changed or deleted here; what can be done has a name of its own.

    ``client_lookup`` and ``user_lookup`` lead from the row to its client and its user.
    """

    client_lookup = ""
    user_lookup = ""
    show_full_result_count = False
    list_per_page = 50
    # Only shows the field: what is looked for is in get_search_results.
    search_fields = ("pk",)
    search_help_text = _("The beginning of a client's name, a client ID, or the whole name of a user.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """False on our own pages; where a user or a client is deleted, Django's permission decides what goes along."""
        return not self._is_own_page(request) and super().has_delete_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django's "may change" is what the named actions here ask for, and who may act may look.
        return super().has_view_permission(request, obj) or super().has_change_permission(request, obj)

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Refuse to filter by digest: it would be given away, a letter at a time."""
        parts = [self.opts.pk.name if part == "pk" else part for part in lookup.split(LOOKUP_SEP)]
        return "digest" not in LOOKUP_SEP.join(parts) and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by client and user, never by token. Whom the term names is found first, so that indexes are used."""
        term = search_term.strip()
        if not term:
            return queryset, False
        clients = Client.objects.filter(Q(client_id=term) | Q(name__istartswith=term))
        found = Q(**{f"{self.client_lookup}__in": list(clients.values_list("pk", flat=True)[:FOUND_AT_MOST])})
        found |= Q(**{f"{self.user_lookup}__in": list(users_named(term).values_list("pk", flat=True)[:FOUND_AT_MOST])})
        return queryset.filter(found), False

    def _is_own_page(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        return match is not None and (match.url_name or "").startswith(own)


class WhetherSet(admin.EmptyFieldListFilter):
    """Django's filter by whether a column is NULL, in words for a moment that came or did not."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice, words in zip(super().choices(changelist), (_("All"), _("No"), _("Yes")), strict=True):
            yield {**choice, "display": words}


def users_named(term: str) -> QuerySet[Any]:
    """Return the users whose name to log in with, or e-mail address, is exactly ``term``."""
    model = get_user_model()
    names = {model.USERNAME_FIELD, model.get_email_field_name()}
    present = {field.name for field in model._meta.get_fields()}
    return model._default_manager.filter(Q(*((name, term) for name in sorted(names & present)), _connector=Q.OR))


def code(text: str) -> str:
    return format_html("<code>{}</code>", text)


def scopes(names: Any) -> str:
    return " ".join(names) or "-"
