"""Signing keys: what each does and until when; they are made by rotation and by clients that need one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ... import conf
from ..keys import retire_key, rotate_key
from ..signing_key import SigningKey
from .read_only import ReadOnlyAdmin


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    search_fields = ()  # type: ignore[assignment]
    list_display = ("kid", "algorithm", "state", "active_at", "retires_at", "published_until")
    list_filter = ("algorithm",)
    ordering = ("algorithm", "-pk")
    actions = ("rotate", "retire")
    fields = ("kid", "algorithm", "state", "created_at", "active_at", "retires_at", "published_until", "public_jwk")
    readonly_fields = ("state",)

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pkce_auth.change_signingkey")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset, False

    @admin.action(permissions=["rotate"], description=_("Rotate: publish a new key for the algorithms of these"))
    def rotate(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> None:
        for algorithm in sorted({key.algorithm for key in queryset}):
            try:
                made = rotate_key(algorithm, settings=conf.settings(), now=timezone.now())
            except ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)
                return
            self.log_addition(request, made, "Made by rotation.")
            shown = _("%(kid)s is published and signs %(algorithm)s from %(moment)s on.")
            facts = {"kid": made.kid, "algorithm": algorithm, "moment": f"{made.active_at:%Y-%m-%d %H:%M} UTC"}
            self.message_user(request, shown % facts, messages.SUCCESS)

    @admin.action(permissions=["rotate"], description=_("Retire: let these sign nothing any more"))
    def retire(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> None:
        for key in queryset:
            try:
                retire_key(key, settings=conf.settings(), now=timezone.now())
            except ValidationError as error:
                self.message_user(request, f"{key.kid}: {' '.join(error.messages)}", messages.ERROR)
            else:
                self.log_change(request, key, "Retired.")
                self.message_user(request, _("%(kid)s signs nothing any more.") % {"kid": key.kid}, messages.SUCCESS)

    @admin.display(description=_("state"))
    def state(self, obj: Any) -> str:
        words = {
            "waiting": _("published, does not sign yet"),
            "signing": _("signs"),
            "published": _("signs no more, still published"),
            "gone": _("gone"),
        }
        return str(words[obj.state(timezone.now())])
