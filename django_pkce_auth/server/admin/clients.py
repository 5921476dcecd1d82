"""Clients in Django admin. A secret is on one page once, and never in a form, a message or the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from ... import conf
from ...error_reports import hide_secrets
from ...redirects import not_stored
from ..clients import add_secret, remove, set_redirect_uris
from ..keys import ensure_key
from ..models import Client, Consent, TokenFamily
from .client_deletion import what_goes_along
from .client_form import ClientForm
from .client_secrets import ClientSecretInline
from .deletion import PersistentDeletion
from .read_only import WhetherSet


class _ShownOnce(str):
    """A secret for a page. Django's log of a name that a template doesn't find has the repr of all that was given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<a client secret>"


@admin.register(Client)
class ClientAdmin(PersistentDeletion):
    form = ClientForm
    list_display = ("name", "client_id", "type", "is_verified", "first_party", "created_at", "disabled_at")
    list_filter = ("type", "first_party", ("disabled_at", WhetherSet))
    search_fields = ("name", "client_id")
    show_full_result_count = False
    raw_id_fields = ("registered_by", "service_user")
    readonly_fields = ("created_at", "disabled_at", "registered_by", "for_developers")
    actions = ("disable", "enable")
    change_form_template = "pkce_auth/admin/client_change_form.html"
    fieldsets = (
        (None, {"fields": ("name", "client_id", "type", "redirect_uris", "scopes_allowed", "scopes_default")}),
        (_("For people"), {"fields": ("verified", "client_uri", "policy_uri", "tos_uri")}),
        (
            _("Behaviour"),
            {
                "fields": (
                    "grants",
                    "resources_allowed",
                    "token_format",
                    "rotates_refresh_tokens",
                    "first_party",
                    "introspects",
                    "service_user",
                    "web_origins",
                    "metadata",
                )
            },
        ),
        (_("For the app's developers"), {"fields": ("for_developers",)}),
        (_("Life"), {"fields": ("created_at", "registered_by", "disabled_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        return super().get_queryset(request).select_related("registered_by")

    def get_inlines(self, request: HttpRequest, obj: Client | None) -> list[Any]:
        return [ClientSecretInline] if obj and obj.is_confidential else []

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> Any:
        # Tokens and secrets hang on both, and a confidential client made public would leave its secrets behind.
        fixed = ("client_id", "type") if obj else ()
        # Whoever has the client's secret acts as that user, who may be one that may do more.
        users = get_user_model()._meta
        may_change_users = request.user.has_perm(f"{users.app_label}.{get_permission_codename('change', users)}")
        return (*self.readonly_fields, *fixed, *(() if may_change_users else ("service_user",)))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.add_secret_view)
        return [path("<path:object_id>/add-secret/", view, name="pkce_auth_client_add_secret"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if not change:
            obj.registered_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        set_redirect_uris(obj, form.cleaned_data.get("redirect_uris", []))
        if made := ensure_key(obj.token_format, settings=conf.settings(), now=timezone.now()):
            self.message_user(request, _("The signing key %(kid)s was made for it.") % {"kid": made.kid})

    def response_add(self, request: HttpRequest, obj: Client, post_url_continue: str | None = None) -> HttpResponse:
        """Answer a confidential client's registration with its secret, in this one response."""
        if not obj.is_confidential:
            return super().response_add(request, obj, post_url_continue)
        return self._secret_page(request, obj)

    def get_deleted_objects(self, objs: Sequence[Client] | QuerySet[Client], request: HttpRequest) -> Any:
        """Say how much goes with the clients, by numbers: a list of every token would be no page that opens."""
        numbers = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(client__in=list(objs)).count()
            for model in (Consent, TokenFamily)
        }
        shown, counted, needed, protected = what_goes_along(objs, request, self.admin_site)
        return [*map(str, objs), *shown], {"clients": len(objs), **numbers, **counted}, needed, protected

    def delete_model(self, request: HttpRequest, obj: Client) -> None:
        remove(obj)

    @method_decorator(not_stored)
    def add_secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and on POST add a secret beside those that keep working."""
        client = self.get_object(request, unquote(object_id))
        if client is None:
            raise Http404
        if not self.has_change_permission(request, client) or not client.is_confidential:
            raise PermissionDenied
        if request.method == "POST":
            self.log_change(request, client, "Added a secret.")
            return self._secret_page(request, client)
        context = {**self.admin_site.each_context(request), "client": client, "opts": self.opts}
        return TemplateResponse(request, "pkce_auth/admin/client_add_secret.html", context)

    def _secret_page(self, request: HttpRequest, client: Client) -> HttpResponse:
        hide_secrets(request)
        context = {
            **self.admin_site.each_context(request),
            "client": client,
            "client_secret": _ShownOnce(add_secret(client, now=timezone.now())),
            "opts": self.opts,
            "change_url": reverse("admin:pkce_auth_client_change", args=[client.pk]),
        }
        response = TemplateResponse(request, "pkce_auth/admin/client_secret.html", context)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        return response

    # The form's own fields, for those who may only view: without these the admin looks for them on the client.
    @admin.display(description=_("Redirect URIs"))
    def redirect_uris(self, obj: Client) -> str:
        return "\n".join(row.uri for row in obj.redirect_uris.all())

    @admin.display(description=_("Allowed scopes"))
    def scopes_allowed(self, obj: Client) -> str:
        return obj.scope

    @admin.display(description=_("Default scopes"))
    def scopes_default(self, obj: Client) -> str:
        return obj.default_scope

    @admin.display(description=_("How it gets tokens"))
    def grants(self, obj: Client) -> str:
        return obj.grant_types

    @admin.display(description=_("Verified"), boolean=True, ordering="verified_at")
    def is_verified(self, obj: Client) -> bool:
        return obj.verified_at is not None

    verified = is_verified

    @admin.display(description=_("addresses"))
    def for_developers(self, obj: Client) -> str:
        """What an app needs beside its client ID; most find the rest of it in the metadata."""
        settings = conf.settings()
        lines = [("issuer", settings.issuer)]
        for words, name in (("metadata", "metadata"), ("authorize", "authorize"), ("token", "token")):
            try:
                lines.append((words, settings.absolute(reverse(f"pkce_auth:{name}"))))
            except NoReverseMatch:  # a project may leave an endpoint out of its URLconf
                continue
        return format_html_join("", "{}: <code>{}</code><br>", lines)

    @admin.action(permissions=["change"], description=_("Disable: end the access of selected clients"))
    def disable(self, request: HttpRequest, queryset: Any) -> None:
        # One by one, so that signals are sent: what keeps verified tokens hears of it.
        for client in queryset.filter(disabled_at=None):
            client.disabled_at = timezone.now()
            client.save(update_fields=["disabled_at"])
            self.log_change(request, client, "Disabled.")

    @admin.action(permissions=["change"], description=_("Enable selected clients again"))
    def enable(self, request: HttpRequest, queryset: Any) -> None:
        for client in queryset.exclude(disabled_at=None):
            client.disabled_at = None
            client.save(update_fields=["disabled_at"])
            self.log_change(request, client, "Enabled.")
