from __future__ import annotations

import pytest
from hypothesis import given

from django_pkce_auth.protocol.scopes import format_scope, is_scope_token, parse_scope

from .wire import NQCHAR, any_text, refusal, scope_token, scopes, value_or_refusal

MALFORMED = (
    "invalid_scope",
    "scope holds a character that no scope may have, or a scope of more than 100 characters; "
    "separate plain ASCII names by single spaces.",
)


@given(scopes)
def test_scopes_are_unchanged_by_formatting_and_parsing(tokens: tuple[str, ...]) -> None:
    assert parse_scope(format_scope(tokens)) == tokens


@given(any_text)
def test_parse_scope_gives_scope_tokens_or_a_refusal_for_any_text(value: str) -> None:
    tokens = value_or_refusal(parse_scope, value) or ()
    assert all(is_scope_token(token) for token in tokens)
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize("value", [None, "", " ", "   "])
def test_parse_scope_gives_nothing_for_an_empty_value(value: str | None) -> None:
    assert parse_scope(value) == ()


def test_parse_scope_keeps_the_order_and_each_scope_once() -> None:
    assert parse_scope("write read write  openid read ") == ("write", "read", "openid")


def test_parse_scope_tells_scopes_of_other_letter_case_apart() -> None:
    assert parse_scope("read Read") == ("read", "Read")


@pytest.mark.parametrize("value", ['re"ad', "re\\ad", "read\twrite", "read\nwrite", "lés", "\x7f", "a\u00a0b", "a\n"])
def test_parse_scope_refuses_a_character_outside_nqchar(value: str) -> None:
    assert refusal(parse_scope, value) == MALFORMED


def test_scope_of_100_characters_is_read_and_101_refused() -> None:
    assert parse_scope("x" * 100) == ("x" * 100,)
    assert refusal(parse_scope, "x" * 101) == MALFORMED


def test_100_scopes_are_read_and_101_refused_with_their_number() -> None:
    names = [f"s{number}" for number in range(101)]
    assert len(parse_scope(" ".join(names[:100]))) == 100
    assert refusal(parse_scope, " ".join(names)) == (
        "invalid_scope",
        "scope names 101 scopes; at most 100 are read.",
    )


def test_repeated_scopes_do_not_count_against_the_limit() -> None:
    assert parse_scope("read " * 101) == ("read",)


@given(scope_token)
def test_scope_token_is_accepted_over_the_whole_of_nqchar(token: str) -> None:
    assert is_scope_token(token)


@pytest.mark.parametrize("character", [chr(code) for code in range(0x100)], ids=ascii)
def test_scope_token_has_exactly_the_characters_of_nqchar(character: str) -> None:
    assert is_scope_token(character) == (character in NQCHAR)


@pytest.mark.parametrize("value", ["", "a b", "read\n"])
def test_scope_token_is_neither_empty_nor_holds_a_separator(value: str) -> None:
    assert not is_scope_token(value)
