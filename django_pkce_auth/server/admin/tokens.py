"""Access and refresh tokens, by fingerprint. They end with their family, so there is nothing to do here but look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import AccessToken, RefreshToken
from .read_only import ReadOnlyAdmin, code, scopes


class TokenAdmin(ReadOnlyAdmin):
    client_lookup, user_lookup = "family__client", "family__user"
    list_select_related = ("family__client", "family__user")
    # A page of its own would be found under the whole digest, and say no more than the list does.
    list_display_links = None
    actions = None
    raw_id_fields = ("family",)
    # By the only time that has an index.
    ordering = ("-expires_at",)
    fields = ("fingerprint", "of_family", "client", "user", "created_at", "expires_at", "is_live")
    readonly_fields = fields

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect(f"admin:pkce_auth_{self.opts.model_name}_changelist")

    @admin.display(description=_("fingerprint"))
    def fingerprint(self, obj: Any) -> str:
        return code(str(obj))

    @admin.display(description=_("token family"), ordering="family")
    def of_family(self, obj: Any) -> str:
        url = reverse("admin:pkce_auth_tokenfamily_change", args=[obj.family_id])
        return format_html('<a href="{}">{}</a>', url, obj.family_id)

    @admin.display(description=_("client"))
    def client(self, obj: Any) -> str:
        return str(obj.family.client)

    @admin.display(description=_("user"))
    def user(self, obj: Any) -> str:
        return "-" if obj.family.user is None else obj.family.user.get_username()

    @admin.display(description=_("works"), boolean=True)
    def is_live(self, obj: Any) -> bool:
        return bool(obj.is_live(timezone.now()))


@admin.register(AccessToken)
class AccessTokenAdmin(TokenAdmin):
    list_display = ("fingerprint", "of_family", "client", "user", "scopes", "created_at", "expires_at", "is_live")

    @admin.display(description=_("scopes"))
    def scopes(self, obj: AccessToken) -> str:
        return scopes(obj.scopes)


@admin.register(RefreshToken)
class RefreshTokenAdmin(TokenAdmin):
    list_display = (
        "fingerprint",
        "of_family",
        "client",
        "user",
        "generation",
        "created_at",
        "superseded_at",
        "expires_at",
        "is_live",
    )
