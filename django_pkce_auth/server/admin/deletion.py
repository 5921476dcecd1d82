"""Deletions that are done in spite of the requests that clients send at the same moment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from ...outages import persistently

# Generic for the type checker alone; at run time Django's classes are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class PersistentDeletion(ModelAdmin):
    """Runs a deletion again where the database chose it to give way, row by row where several are chosen."""

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django has a transaction around all of it.
        return persistently(partial(super().delete_view, request, object_id, extra_context))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            persistently(partial(self.delete_model, request, row))
