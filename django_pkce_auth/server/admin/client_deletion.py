"""What a project hangs on its clients, where these are to be deleted: Django decides about that as about its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import get_deleted_objects
from django.db import router
from django.db.models import CASCADE, PROTECT, RESTRICT, QuerySet
from django.http import HttpRequest

from ..models import Client


def what_goes_along(
    clients: Sequence[Client] | QuerySet[Client], request: HttpRequest, site: AdminSite
) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
    """Return what ``get_deleted_objects`` does, of rows of other apps alone.

    That is what is listed, how many of each kind there are, what of it this administrator may not delete, and what
    keeps the clients from being deleted.
    """
    shown: list[Any] = []
    counted: dict[str, int] = {}
    needed: set[str] = set()
    protected: list[str] = []
    relations: list[Any] = [
        each
        for each in Client._meta.get_fields(include_hidden=True)
        if each.auto_created and not each.concrete and (each.one_to_one or each.one_to_many)
    ]
    for relation in relations:
        model = relation.related_model
        if model._meta.app_label == Client._meta.app_label:
            continue
        rows = model._base_manager.using(router.db_for_write(model))
        rows = rows.filter(**{f"{relation.field.name}__in": [client.pk for client in clients]})
        if relation.on_delete in (PROTECT, RESTRICT):
            protected += [f"{model._meta.verbose_name}: {row}" for row in rows]
        elif relation.on_delete is CASCADE:
            more, numbers, lacking, kept = get_deleted_objects(rows, request, site)
            shown, counted = [*shown, *more], counted | numbers
            needed, protected = needed | lacking, [*protected, *kept]
    return shown, counted, needed, protected
