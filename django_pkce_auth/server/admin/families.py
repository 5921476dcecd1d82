"""Token families: who gave which client access, since when, and a way to end it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value, unquote
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..models import AccessToken, RefreshToken, TokenFamily
from ..revoke import revoke_families
from .read_only import ReadOnlyAdmin, WhetherSet, code, scopes

NEWEST = 10
"""How many tokens of each kind a family's page shows; the rest is behind a link."""
AT_A_TIME = 1000
"""How many families one statement revokes."""


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    client_lookup, user_lookup = "client", "user"
    list_display = ("id", "client", "user", "scopes", "created_at", "last_used_at", "is_live", "revoked_reason")
    list_display_links = ("id",)
    list_select_related = ("client", "user")
    list_filter = (("revoked_at", WhetherSet), "revoked_reason")
    raw_id_fields = ("client", "user")
    ordering = ("-pk",)
    actions = ("revoke",)
    change_form_template = "pkce_auth/admin/family_change_form.html"
    fieldsets = (
        (None, {"fields": ("client", "user", "scopes", "is_live")}),
        (_("Life"), {"fields": ("created_at", "last_used_at", "expires_at", "revoked_at", "revoked_reason")}),
        (_("Tokens"), {"fields": ("refresh_tokens", "access_tokens")}),
    )
    readonly_fields = ("scopes", "is_live", "refresh_tokens", "access_tokens")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TokenFamily]:
        return super().get_queryset(request).select_related("client", "user")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_view)
        return [path("<path:object_id>/revoke/", view, name="pkce_auth_tokenfamily_revoke"), *super().get_urls()]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Django's permission to change token families: all that anybody can change of one is that it ends."""
        return request.user.has_perm("pkce_auth.change_tokenfamily")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_revoke = {"may_revoke": self.has_revoke_permission(request)}
        return super().change_view(request, object_id, form_url, {**may_revoke, **(extra_context or {})})

    @admin.action(permissions=["revoke"], description=_("Revoke: end all access of the selected token families"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> None:
        ended = self._revoke(request, queryset)
        shown = ngettext("%(count)d token family was revoked.", "%(count)d token families were revoked.", ended)
        self.message_user(request, shown % {"count": ended}, messages.SUCCESS)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and on POST end the family."""
        family = self.get_object(request, unquote(object_id))
        if family is None:
            raise Http404
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self.revoke(request, TokenFamily.objects.filter(pk=family.pk))
            return redirect("admin:pkce_auth_tokenfamily_change", family.pk)
        context = {**self.admin_site.each_context(request), "family": family, "opts": self.opts}
        return TemplateResponse(request, "pkce_auth/admin/family_revoke.html", context)

    def _revoke(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> int:
        using, reason, now = router.db_for_write(TokenFamily), TokenFamily.Reason.ADMIN, timezone.now()
        # By their keys: what the list is narrowed by, such as whether they are revoked, would not find them afterwards.
        keys = list(queryset.using(using).select_related(None).order_by().values_list("pk", flat=True))
        with transaction.atomic(using=using):
            return sum(
                revoke_families(
                    TokenFamily.objects.using(using).filter(pk__in=keys[start : start + AT_A_TIME]),
                    reason=reason,
                    now=now,
                    using=using,
                    actor=request.user,
                )
                for start in range(0, len(keys), AT_A_TIME)
            )

    @admin.display(description=_("scopes"))
    def scopes(self, obj: TokenFamily) -> str:
        return scopes(obj.scopes)

    @admin.display(description=_("gives access"), boolean=True)
    def is_live(self, obj: TokenFamily) -> bool:
        return obj.is_live(timezone.now())

    @admin.display(description=_("newest refresh tokens"))
    def refresh_tokens(self, obj: TokenFamily) -> str:
        rows = RefreshToken.objects.filter(family=obj).order_by("-generation", "-created_at")
        return self._newest(obj, "refreshtoken", rows)

    @admin.display(description=_("newest access tokens"))
    def access_tokens(self, obj: TokenFamily) -> str:
        return self._newest(obj, "accesstoken", AccessToken.objects.filter(family=obj).order_by("-created_at"))

    def _newest(self, family: TokenFamily, model: str, rows: QuerySet[Any]) -> str:
        """Return a line for each: fingerprint, made → ends; and the link to all of them."""
        shown = ((code(str(row)), _moment(row.created_at), _moment(row.expires_at)) for row in rows[:NEWEST])
        lines = format_html_join("", "{} · {} → {}<br>", shown)
        url = f"{reverse(f'admin:pkce_auth_{model}_changelist')}?family__id__exact={family.pk}"
        return format_html('{}<a href="{}">{}</a>', lines, url, _("All of this family"))


def _moment(value: Any) -> str:
    return str(display_for_value(value, "-"))
