"""``PKCE_AUTH["RESOURCES"]``: what is named, and what a request's path belongs to (RFC 8707 §2, RFC 9728 §1.2)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pkce_auth.resource_registry import Resource, parse_resources

ISSUER = "https://example.com"


@pytest.mark.parametrize(
    ("path", "identifier"),
    [
        ("/", ISSUER),
        ("/mcp", f"{ISSUER}/mcp"),
        ("/mcp/", f"{ISSUER}/mcp"),
        ("/mcp/tools", f"{ISSUER}/mcp"),
        ("/mcp/admin/x", f"{ISSUER}/mcp/admin"),
        ("/mcpx", ISSUER),
        ("/MCP", ISSUER),
        ("/x/mcp", ISSUER),
        ("//mcp", ISSUER),
    ],
)
def test_path_belongs_to_the_longest_resource_above_it(path: str, identifier: str) -> None:
    known = parse_resources({"/mcp": "Tools", "/mcp/admin": "Admin", "https://other.example/x": "X"}, issuer=ISSUER)
    assert known.at(path).identifier == identifier


def test_resource_of_another_host_is_no_path_here() -> None:
    assert parse_resources({"https://other.example/x": "X"}, issuer=ISSUER).at("/x").is_own


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (ISSUER, ISSUER),
        (f"{ISSUER}/", ISSUER),
        (f"{ISSUER}/mcp", f"{ISSUER}/mcp"),
        (f"{ISSUER}/mcp/", None),
        (f"{ISSUER}//", None),
        ("https://EXAMPLE.com", None),
        ("/mcp", None),
        ("", None),
        ("/", None),
        ("http://[/", None),
        ("https://[x]/", None),
        ("https://\u2100/", None),
    ],
)
def test_client_names_a_resource_to_the_character_but_for_the_slash_of_an_empty_path(
    named: str, found: str | None
) -> None:
    resource = parse_resources({"/mcp": "Tools"}, issuer=ISSUER).named(named)
    assert (resource.identifier if resource else None) == found


def test_own_resource_takes_what_the_settings_say_of_the_issuer() -> None:
    own = parse_resources({ISSUER: {"name": "Photos", "scopes": ["read"]}}, issuer=ISSUER).own
    assert own == Resource(ISSUER, "Photos", ("read",), is_own=True)


@pytest.mark.parametrize(
    ("bound", "own", "other"),
    [
        ((), True, False),
        ((ISSUER,), True, False),
        ((f"{ISSUER}/mcp",), False, True),
        ((ISSUER, f"{ISSUER}/mcp"), True, True),
    ],
)
def test_token_is_admitted_where_it_is_bound_to(bound: tuple[str, ...], own: bool, other: bool) -> None:
    known = parse_resources({"/mcp": "Tools"}, issuer=ISSUER)
    assert known.own.admits(bound) is own
    assert known[f"{ISSUER}/mcp"].admits(bound) is other


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"mcp": "x"}, "no http"),
        ({"ftp://x.example": "x"}, "no http"),
        ({"https://x.example/#a": "x"}, "fragment"),
        ({"https://x.example/": "x"}, "slash"),
        ({"/": "x"}, "slash"),
        ({7: "x"}, "no string"),
        ({"/mcp": {"nam": "x"}}, "'nam'"),
        ({"/mcp": {"scopes": "read"}}, "list of scopes"),
        ({"/mcp": {"scopes": ["a b"]}}, "holds 'a b'; it must be a list of scopes"),
        ({"/mcp": {"scopes": 5}}, "is 5; it must be a list of scopes"),
    ],
)
def test_setting_that_can_not_be_used_says_why(raw: Any, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        parse_resources(raw, issuer=ISSUER)
