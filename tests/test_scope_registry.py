"""``PKCE_AUTH["SCOPES"]``: words, groups and the hierarchy."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation
from django.utils.translation import gettext_lazy

from django_pkce_auth.scope_registry import parse_scopes

SCOPES: dict[str, Any] = {
    "read": "Read",
    "write": {"words": "Write", "implies": ["read"], "sensitive": True},
    "admin": {"words": "Everything", "implies": ["write"], "group": "Danger", "required": True},
}


def test_hierarchy_reaches_all_the_way_down() -> None:
    registry = parse_scopes(SCOPES)
    assert registry.expand(["admin"]) == {"admin", "write", "read"}
    assert registry.covers(["write"], ["read"])
    assert not registry.covers(["read"], ["write"])
    assert not registry.covers([], ["read"])
    assert registry.covers(["read"], [])


def test_entry_keeps_its_words_and_marks() -> None:
    registry = parse_scopes(SCOPES)
    assert (registry["read"].words, registry["read"].sensitive) == ("Read", False)
    assert (registry["write"].sensitive, registry["admin"].group, registry["admin"].required) == (True, "Danger", True)
    assert list(registry) == ["read", "write", "admin"]


def test_words_may_be_lazy_translations() -> None:
    registry = parse_scopes({"read": gettext_lazy("Log in"), "write": {"words": gettext_lazy("Log out")}})
    with translation.override("de"):
        assert (str(registry["read"].words), str(registry["write"].words)) == ("Anmelden", "Abmelden")


def test_scope_that_left_the_settings_implies_nothing() -> None:
    assert parse_scopes(SCOPES).expand(["gone", "write"]) == {"gone", "write", "read"}


def test_circle_is_no_trouble() -> None:
    circle = {"a": {"words": "A", "implies": ["b"]}, "b": {"words": "B", "implies": ["a"]}}
    assert parse_scopes(circle).expand(["a"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"implies": ["read"]}, "has no 'words'"),
        ({"words": "X", "implies": "read"}, "is a str; make it a list"),
        ({"words": "X", "implies": 5}, "is a int; make it a list"),
        ({"words": 5}, r"'words'\] is 5; write what people read"),
        (None, r"\['x'\] is None; write what people read"),
        ("", r"\['x'\] is ''; write what people read"),
        (["read"], "write what people read"),
        ({"words": "X", "implies": ["nothing"]}, "implies 'nothing'"),
        ({"words": "X", "sensible": True}, "unknown key 'sensible'"),
        ({"words": "X", "sensitive": "False"}, "'sensitive'.* is 'False'; it takes True or False"),
        ({"words": "X", "required": 1}, "'required'.* is 1; it takes True or False"),
    ],
)
def test_bad_entry_says_what_is_wrong(entry: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        parse_scopes({"read": "Read", "x": entry})
