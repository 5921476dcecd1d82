"""The secrets on a client's page: which there are, when they were used, and when each ends. None is shown here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import Client, ClientSecret

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelForm = forms.ModelForm[ClientSecret]
    TabularInline = admin.TabularInline[ClientSecret, Client]
else:
    ModelForm, TabularInline = forms.ModelForm, admin.TabularInline


class ClientSecretForm(ModelForm):
    end_now = forms.BooleanField(label=_("End now"), required=False)

    class Meta:
        model = ClientSecret
        fields = ["expires_at"]

    def save(self, commit: bool = True) -> ClientSecret:
        if self.cleaned_data["end_now"]:
            self.instance.expires_at = timezone.now()
        return super().save(commit)


class ClientSecretInline(TabularInline):
    """Whoever may see or change the client may see its secrets' fingerprints, or end one; adding has its own page."""

    model = ClientSecret
    form = ClientSecretForm
    verbose_name_plural = _("Secrets: to replace one, add another, and end the old one when it is no longer used")
    # Each row is headed by its fingerprint.
    fields = ("created_at", "last_used_at", "expires_at", "end_now")
    readonly_fields = ("created_at", "last_used_at")
    raw_id_fields = ("client",)
    ordering = ("created_at",)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("pkce_auth.change_client")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj) or request.user.has_perm("pkce_auth.view_client")

    # For those who may only view: without it the admin looks for the form's own field on the secret.
    @admin.display(description=_("End now"))
    def end_now(self, obj: ClientSecret) -> str:
        return "-"
