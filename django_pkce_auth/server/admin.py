"""Clients in Django admin. A secret is on one page once, and never in a form, a message or the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from .. import conf
from ..error_reports import hide_secrets
from ..secrets import generate
from .clients import add_secret, clean_client_id, clean_redirect_uris, clean_scope, set_redirect_uris
from .models import Client, ClientSecret

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Client]
    ModelAdmin = admin.ModelAdmin[Client]
else:
    ModelForm, ModelAdmin = forms.ModelForm, admin.ModelAdmin


class ClientForm(ModelForm):
    redirect_uris = forms.CharField(
        label=_("Redirect URIs"),
        widget=forms.Textarea(attrs={"rows": 4, "cols": 80}),
        required=False,
        help_text=_("One per line. A request must name one of them to the character."),
    )
    scopes_allowed = forms.MultipleChoiceField(
        label=_("Allowed scopes"), widget=forms.CheckboxSelectMultiple, required=False
    )
    scopes_default = forms.MultipleChoiceField(
        label=_("Default scopes"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("What a request without scope gets. None: such a request is refused."),
    )

    class Meta:
        model = Client
        fields = [
            "name",
            "client_id",
            "type",
            "rotates_refresh_tokens",
            "client_uri",
            "policy_uri",
            "tos_uri",
            "metadata",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(scope.name, f"{scope.name}: {scope.words}") for scope in conf.settings().scopes.values()]
        client = self.instance
        for field, scopes in (("scopes_allowed", client.scopes), ("scopes_default", client.default_scopes)):
            gone = [(name, name) for name in scopes if name not in dict(known)]
            self.fields[field].choices = known + gone  # type: ignore[attr-defined]
            self.fields[field].initial = list(scopes)
        if client.pk:
            self.fields["redirect_uris"].initial = "\n".join(row.uri for row in client.redirect_uris.all())
        elif "client_id" in self.fields:
            self.fields["client_id"].initial = generate()

    def clean_client_id(self) -> str:
        return clean_client_id(self.cleaned_data["client_id"])

    def clean_redirect_uris(self) -> list[str]:
        public = self.cleaned_data.get("type", self.instance.type) == Client.Type.PUBLIC
        return clean_redirect_uris(self.cleaned_data["redirect_uris"], public=public)

    def clean_scopes_allowed(self) -> str:
        return clean_scope(self.cleaned_data["scopes_allowed"], conf.settings().scopes)

    def clean_scopes_default(self) -> str:
        chosen = clean_scope(self.cleaned_data["scopes_default"], conf.settings().scopes)
        allowed = self.cleaned_data.get("scopes_allowed", "").split()
        if beyond := [scope for scope in chosen.split() if scope not in allowed]:
            raise ValidationError(_("%(scope)s is not among the allowed scopes.") % {"scope": beyond[0]})
        return chosen

    def save(self, commit: bool = True) -> Client:
        self.instance.scope = self.cleaned_data["scopes_allowed"]
        self.instance.default_scope = self.cleaned_data["scopes_default"]
        return super().save(commit)


@admin.register(Client)
class ClientAdmin(ModelAdmin):
    form = ClientForm
    list_display = ("name", "client_id", "type", "created_at", "disabled_at")
    list_filter = ("type",)
    search_fields = ("name", "client_id")
    show_full_result_count = False
    readonly_fields = ("created_at", "disabled_at", "secrets_known")
    actions = ("disable", "enable")
    change_form_template = "pkce_auth/admin/client_change_form.html"
    fieldsets = (
        (None, {"fields": ("name", "client_id", "type", "redirect_uris", "scopes_allowed", "scopes_default")}),
        (_("Secrets"), {"fields": ("secrets_known",)}),
        (_("For people"), {"fields": ("client_uri", "policy_uri", "tos_uri")}),
        (_("Behaviour"), {"fields": ("rotates_refresh_tokens", "metadata")}),
        (_("Life"), {"fields": ("created_at", "disabled_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> Any:
        # Tokens and secrets hang on both, and a confidential client made public would leave its secrets behind.
        return (*self.readonly_fields, "client_id", "type") if obj else self.readonly_fields

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.add_secret_view)
        return [path("<path:object_id>/add-secret/", view, name="pkce_auth_client_add_secret"), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if not change:
            obj.registered_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        set_redirect_uris(obj, form.cleaned_data.get("redirect_uris", []))

    def response_add(self, request: HttpRequest, obj: Client, post_url_continue: str | None = None) -> HttpResponse:
        """Answer a confidential client's registration with its secret, in this one response."""
        if not obj.is_confidential:
            return super().response_add(request, obj, post_url_continue)
        return self._secret_page(request, obj)

    @method_decorator(never_cache)
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
            "client_secret": add_secret(client, now=timezone.now()),
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

    @admin.display(description=_("secrets"))
    def secrets_known(self, obj: Client) -> str:
        secrets = obj.secrets.order_by("created_at") if obj.pk else ClientSecret.objects.none()
        return "\n".join(f"{row.fingerprint} · {row.created_at:%Y-%m-%d %H:%M} UTC" for row in secrets) or "-"

    @admin.action(permissions=["change"], description=_("Disable: end the access of selected clients"))
    def disable(self, request: HttpRequest, queryset: Any) -> None:
        queryset.filter(disabled_at=None).update(disabled_at=timezone.now())

    @admin.action(permissions=["change"], description=_("Enable selected clients again"))
    def enable(self, request: HttpRequest, queryset: Any) -> None:
        queryset.update(disabled_at=None)
