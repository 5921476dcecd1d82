"""Consents: to delete one is to withdraw it, which ends all access that came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin as DjangoModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import Consent
from .deletion import PersistentDeletion
from .read_only import ReadOnlyAdmin, scopes


@admin.register(Consent)
class ConsentAdmin(PersistentDeletion, ReadOnlyAdmin):
    client_lookup, user_lookup = "client", "user"
    list_display = ("client", "user", "scopes", "created_at", "updated_at")
    list_select_related = ("client", "user")
    raw_id_fields = ("client", "user")
    ordering = ("-pk",)
    fields = ("client", "user", "scopes", "created_at", "updated_at")
    readonly_fields = ("scopes",)
    delete_confirmation_template = "pkce_auth/admin/consent_delete.html"
    delete_selected_confirmation_template = "pkce_auth/admin/consent_delete_selected.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Consent]:
        return super().get_queryset(request).select_related("client", "user")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return DjangoModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Consent) -> None:
        # Hardly ever needed, and with it comes much of the server.
        from ..consent import withdraw

        withdraw(user=obj.user, client=obj.client, now=timezone.now(), actor=request.user)

    @admin.display(description=_("scopes"))
    def scopes(self, obj: Consent) -> str:
        return scopes(obj.scopes)
