"""Providers and connections in Django admin. A provider's secret goes in and never comes out again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import conf
from ..json_object import JSONObjectField
from ..presets import PRESETS
from .models import Connection, Provider

logger = logging.getLogger("django_pkce_auth.client")

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Provider]
    ProviderModelAdmin = admin.ModelAdmin[Provider]
    ConnectionModelAdmin = admin.ModelAdmin[Connection]
else:
    ModelForm = forms.ModelForm
    ProviderModelAdmin = ConnectionModelAdmin = admin.ModelAdmin


class ProviderForm(ModelForm):
    client_secret = forms.CharField(
        label=_("Client secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Left empty, the stored one stays."),
    )
    preset = forms.ChoiceField(
        label=_("Preset"),
        required=False,
        choices=[("", "-"), *((key, entry["name"]) for key, entry in PRESETS.items())],
    )

    class Meta:
        model = Provider
        exclude = ["raw_client_secret"]
        field_classes = {"extra_authorize_parameters": JSONObjectField}

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug in conf.settings().providers:
            raise ValidationError(_("The settings have a provider of this slug; choose another one."))
        return slug

    def clean(self) -> None:
        """Hold the row to what the settings are held to, and its addresses to https."""
        super().clean()
        if self.errors:
            return
        for name, value in list(self.cleaned_data.items()):
            if (name == "issuer" or name.endswith("_url")) and value and not value.startswith("https://"):
                self.add_error(name, _("Addresses that are entered here must begin with https://."))
        if self.errors:
            return
        from ..provider_settings import parse_provider

        candidate = forms.models.construct_instance(self, Provider())
        try:
            parse_provider(candidate.slug, candidate.entry())
        except ImproperlyConfigured as error:
            self.add_error(None, str(error))

    def save(self, commit: bool = True) -> Provider:
        if self.cleaned_data["client_secret"]:
            self.instance.raw_client_secret = self.cleaned_data["client_secret"]
        return super().save(commit)


@admin.register(Provider)
class ProviderAdmin(ProviderModelAdmin):
    form = ProviderForm
    list_display = ("slug", "name", "issuer", "enabled", "login")
    search_fields = ("slug", "name")
    show_full_result_count = False
    readonly_fields = ("redirect_uri",)

    @admin.display(description=_("redirect URI to register there"))
    def redirect_uri(self, obj: Provider) -> str:
        return conf.settings().absolute(reverse("pkce_auth:callback", args=[obj.slug or "slug"]))


@admin.register(Connection)
class ConnectionAdmin(ConnectionModelAdmin):
    """Read-only: connections are made by their users. *Revoke here* forgets the tokens and keeps the row."""

    list_display = ("provider", "user", "label", "status", "created_at", "last_used_at")
    list_filter = ("status",)
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("provider", "label", "subject")
    show_full_result_count = False
    actions = ("revoke",)
    fields = (
        "provider",
        "user",
        "label",
        "subject",
        "issuer",
        "scope",
        "status",
        "created_at",
        "updated_at",
        "last_used_at",
        "access_token_expires_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("raw_access_token", "raw_refresh_token")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description=_("Revoke here: forget the tokens of selected connections"), permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        revoked = Connection.Status.REVOKED
        keys = list(queryset.exclude(status=revoked).values_list("pk", flat=True))
        queryset.update(status=revoked, raw_access_token="", raw_refresh_token="", updated_at=timezone.now())
        for key in keys:
            logger.warning(
                "Connection %s was revoked here by user %s", key, request.user.pk, extra={"event": "connection_revoked"}
            )
