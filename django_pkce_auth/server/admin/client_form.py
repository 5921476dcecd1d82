"""The form of a client: what its columns hold as words is boxes and lines here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ... import conf
from ...json_object import JSONObjectField
from ...protocol.grant_types import DEVICE_CODE
from ..clients import (
    clean_grant_types,
    clean_new_client_id,
    clean_redirect_uris,
    clean_resources,
    clean_scope,
    clean_web_origins,
    generate_client_id,
)
from ..models import OPAQUE, Client

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Client]
else:
    ModelForm = forms.ModelForm

GRANTS = (
    ("authorization_code", _("Its users allow it access in a browser (authorization code)")),
    ("client_credentials", _("It acts for itself, without a user (client credentials; confidential clients)")),
    (DEVICE_CODE, _("Its users enter a code on another device (device authorization)")),
)
REFRESHED = {"authorization_code", DEVICE_CODE}


class ClientForm(ModelForm):
    redirect_uris = forms.CharField(
        label=_("Redirect URIs"),
        widget=forms.Textarea(attrs={"rows": 4, "cols": 80}),
        required=False,
        help_text=_(
            "One per line. A request must name one of them to the character. On the web: "
            "https://app.example/callback. On the user's device, public clients: http://127.0.0.1/callback or "
            "http://[::1]/callback, whatever port the app has (that of localhost is fixed), or "
            "com.example.app:/callback, a domain of the app's maker backwards."
        ),
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
    resources_allowed = forms.MultipleChoiceField(
        label=_("Resources"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Its tokens are bound to these. None: it may name any, and a token for none is for this site."),
    )
    grants = forms.MultipleChoiceField(
        label=_("How it gets tokens"),
        widget=forms.CheckboxSelectMultiple,
        choices=GRANTS,
        help_text=_("Where a user is part of it, refresh tokens come with it."),
    )
    web_origins = forms.CharField(
        label=_("Web origins"),
        widget=forms.Textarea(attrs={"rows": 2, "cols": 80}),
        required=False,
        help_text=_(
            "One per line, such as https://app.example: pages there may call the token and revocation endpoints."
        ),
    )
    verified = forms.BooleanField(
        label=_("Verified"),
        required=False,
        help_text=_("You know who is behind this app. Until then people are told that nobody checked it."),
    )

    class Meta:
        model = Client
        fields = [
            "name",
            "client_id",
            "type",
            "rotates_refresh_tokens",
            "first_party",
            "introspects",
            "token_format",
            "service_user",
            "client_uri",
            "policy_uri",
            "tos_uri",
            "metadata",
        ]
        field_classes = {"metadata": JSONObjectField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(scope.name, f"{scope.name}: {scope.words}") for scope in conf.settings().scopes.values()]
        client = self.instance
        for field, scopes in (("scopes_allowed", client.scopes), ("scopes_default", client.default_scopes)):
            gone = [(name, name) for name in scopes if name not in dict(known)]
            self._start(field, list(scopes), choices=known + gone)
        resources = {resource.identifier: resource.identifier for resource in conf.settings().resources.values()}
        resources |= {identifier: identifier for identifier in client.resources.split()}
        self._start("resources_allowed", client.resources.split(), choices=list(resources.items()))
        self._start("grants", [name for name, _words in GRANTS if client.may_use(name)])
        self._start("web_origins", "\n".join(client.web_origins.split()))
        self._start("verified", client.verified_at is not None)
        if client.pk:
            self._start("redirect_uris", "\n".join(row.uri for row in client.redirect_uris.all()))
        else:
            self._start("client_id", generate_client_id())

    def _start(self, name: str, initial: Any, **attributes: Any) -> None:
        """Fill in a field; those who may only view have none."""
        if name in self.fields:
            self.fields[name].initial = initial
            for attribute, value in attributes.items():
                setattr(self.fields[name], attribute, value)

    @property
    def _is_public(self) -> bool:
        return bool(self.cleaned_data.get("type", self.instance.type) == Client.Type.PUBLIC)

    def clean_client_id(self) -> str:
        # Only of a new one: that of another can't be changed.
        return clean_new_client_id(self.cleaned_data["client_id"])

    def clean_redirect_uris(self) -> list[str]:
        return clean_redirect_uris(self.cleaned_data["redirect_uris"], public=self._is_public)

    def clean_scopes_allowed(self) -> str:
        return clean_scope(self.cleaned_data["scopes_allowed"], conf.settings().scopes)

    def clean_scopes_default(self) -> str:
        chosen = clean_scope(self.cleaned_data["scopes_default"], conf.settings().scopes)
        allowed = self.cleaned_data.get("scopes_allowed", "").split()
        if beyond := [scope for scope in chosen.split() if scope not in allowed]:
            raise ValidationError(_("%(scope)s is not among the allowed scopes.") % {"scope": beyond[0]})
        return chosen

    def clean_resources_allowed(self) -> str:
        return clean_resources(self.cleaned_data["resources_allowed"], conf.settings().resources)

    def clean_token_format(self) -> str:
        chosen: str = self.cleaned_data["token_format"]
        if chosen != OPAQUE and not conf.settings().encryption_keys:
            raise ValidationError(_("Signing keys are stored encrypted: set PKCE_AUTH['ENCRYPTION_KEYS'] first."))
        return chosen

    def clean_grants(self) -> str:
        chosen, before = set(self.cleaned_data["grants"]), set(self.instance.grant_types.split())
        # One that has no refresh tokens today, which a file may have said, does not get them by being saved.
        without = self.instance.pk and before & REFRESHED and "refresh_token" not in before
        if chosen & REFRESHED and not without:
            chosen.add("refresh_token")
        return clean_grant_types(chosen, public=self._is_public)

    def clean_web_origins(self) -> str:
        return clean_web_origins(self.cleaned_data["web_origins"])

    def save(self, commit: bool = True) -> Client:
        client, cleaned = self.instance, self.cleaned_data
        client.scope = cleaned["scopes_allowed"]
        client.default_scope = cleaned["scopes_default"]
        client.grant_types = cleaned["grants"]
        client.resources = cleaned["resources_allowed"]
        client.web_origins = cleaned["web_origins"]
        if cleaned["verified"] != (client.verified_at is not None):
            client.verified_at = timezone.now() if cleaned["verified"] else None
        return super().save(commit)
