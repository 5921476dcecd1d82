from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.errors import OAuthError, public_text

from .wire import PUBLIC, any_text, public

FORBIDDEN = ['"', "\\", "\n", "\r", "\t", "\0", "\x1f", "\x7f", "\x80", "é", "\u2028", "\ud800"]


def test_error_carries_code_description_and_detail() -> None:
    error = OAuthError("invalid_grant", "The code has expired.", detail="code 7 of client 3")
    assert (error.error, error.description, error.detail) == (
        "invalid_grant",
        "The code has expired.",
        "code 7 of client 3",
    )


def test_error_detail_is_empty_unless_given() -> None:
    assert OAuthError("invalid_grant", "").detail == ""


def test_error_detail_stays_out_of_str_and_repr() -> None:
    error = OAuthError("invalid_grant", "The code has expired.", detail="for the log only")
    assert "for the log only" not in str(error) + repr(error)


def test_error_detail_takes_any_character() -> None:
    assert OAuthError("invalid_grant", "", detail='"\n\\é').detail == '"\n\\é'


@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
def test_error_description_refuses_character_outside_rfc6749(character: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII without double quote and backslash"):
        OAuthError("invalid_request", f"before{character}after")


@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
def test_error_code_refuses_character_outside_rfc6749(character: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII without double quote and backslash"):
        OAuthError(f"invalid{character}", "")


def test_error_description_refuses_newline_at_its_very_end() -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        OAuthError("invalid_request", "a sentence\n")


@given(public, public)
def test_error_accepts_every_text_of_rfc6749(error: str, description: str) -> None:
    made = OAuthError(error, description)
    assert (made.error, made.description) == (error, description)


@given(any_text)
def test_error_accepts_exactly_the_characters_of_rfc6749(text: str) -> None:
    try:
        OAuthError("invalid_request", text)
    except ValueError:
        assert not set(text) <= PUBLIC
    else:
        assert set(text) <= PUBLIC


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_error_keeps_its_parts_when_copied(copied: object) -> None:
    error = copied(OAuthError("invalid_scope", "Unknown scope.", detail="asked for admin"))  # type: ignore[operator]
    assert (error.error, error.description, error.detail) == ("invalid_scope", "Unknown scope.", "asked for admin")


@given(any_text)
def test_public_text_always_fits_an_error(text: str) -> None:
    OAuthError("invalid_request", public_text(text))


@given(public)
def test_public_text_leaves_allowed_text_as_it_is(text: str) -> None:
    assert public_text(text) == text


@given(any_text, st.integers(min_value=0, max_value=50))
def test_public_text_replaces_each_character_in_its_place(text: str, limit: int) -> None:
    made = public_text(text, limit=limit)
    assert len(made) == min(len(text), limit)
    assert all(new == (old if old in PUBLIC else "?") for new, old in zip(made, text, strict=False))


def test_public_text_shows_question_marks_for_markup_breakers() -> None:
    assert public_text('say "no"\r\nSet-Cookie: a=b\\') == "say ?no???Set-Cookie: a=b?"


def test_public_text_is_cut_at_200_characters_unless_told() -> None:
    assert public_text("x" * 201) == "x" * 200
