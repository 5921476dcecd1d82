"""JSON objects that people enter: what Python, every database and a page can hold."""

from __future__ import annotations

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext as _

_MAX_DEPTH = 31  # levels that MariaDB takes for JSON
# PostgreSQL takes it in no text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def clean_json_object(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, an empty one for None; raises ValidationError for everything else."""
    if value is None:
        return {}
    try:
        # Numbers that JSON does not have and halves of surrogate pairs are taken by Python's own and by no database.
        written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode().decode()
        depth = _depth(value)
    except (TypeError, ValueError, RecursionError):
        written, depth = "", 0
    if not isinstance(value, dict) or not written or _NUL.search(written) or depth > _MAX_DEPTH:
        message = _('This takes a JSON object: {"name": "value"}, with at most %(depth)d levels one within another.')
        raise ValidationError(message % {"depth": _MAX_DEPTH})
    return value


def _depth(value: object) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


class JSONObjectField(forms.JSONField):
    """A field of a form; Django's own fails at what Python can't read, and shows again what no page can hold."""

    def to_python(self, value: Any) -> Any:
        try:
            return clean_json_object(super().to_python(value))
        except (ValueError, RecursionError):
            return clean_json_object("")

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            self.to_python(data)
        except ValidationError:
            return InvalidJSONInput(data)
        return super().bound_data(data, initial)
