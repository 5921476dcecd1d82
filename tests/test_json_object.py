"""What people enter as a JSON object is one that every database takes, or a mistake that is told."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from django_pkce_auth.json_object import JSONObjectField, clean_json_object


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    "value", [{}, {"a": [1, 2.5, None, True, "\U0001f600"]}, {"a": "\\u0000"}, {"a": 10**400}, nested(31)]
)
def test_object_stays_as_it_is(value: Any) -> None:
    assert clean_json_object(value) is value


def test_nothing_is_an_empty_object() -> None:
    assert clean_json_object(None) == {}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "",
        0,
        False,
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\0"},
        {"\0": 1},
        {"a": "\\\0"},
        {"a": "\ud800"},
        {"\udc00": 1},
        {"a": b""},
        {"a": {1}},
        nested(32),
        nested(900),
        {"a": [[]] * 3 + [nested(31)]},
    ],
)
def test_what_no_database_takes_is_told(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"This takes a JSON object: .* at most 31 levels"):
        clean_json_object(value)


class OneField(forms.Form):
    extra = JSONObjectField(required=False)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "\\ud800"}', "9" * 5000, "[" * 100_000, "'", "NaN", "\ud800"])
def test_mistake_is_shown_as_it_was_typed(text: str) -> None:
    form = OneField({"extra": text})
    assert form.errors["extra"]
    assert form["extra"].value() == text


@pytest.mark.parametrize(("text", "read"), [("", {}), ("null", {}), ("{}", {}), ('{"a": [1]}', {"a": [1]})])
def test_object_is_read(text: str, read: dict[str, Any]) -> None:
    form = OneField({"extra": text})
    assert form.is_valid()
    assert form.cleaned_data == {"extra": read}
    assert OneField(form.data)["extra"].value() == text
