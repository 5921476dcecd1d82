from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.bearer import challenge, decode, encode
from django_pkce_auth.protocol.errors import OAuthError

from .wire import any_text, public, refusal, scopes, text_of, value_or_refusal

MALFORMED = ("invalid_request", "The Authorization header is not Bearer and one token.")
TOKEN_SIGNS = set(string.ascii_letters + string.digits + "-._~+/")
tokens = st.builds("{}{}".format, text_of(TOKEN_SIGNS), text_of({"="}, least=0, most=3))


@given(tokens)
def test_token_is_unchanged_by_the_bearer_header(token: str) -> None:
    assert decode(encode(token)) == token


def test_bearer_header_is_that_of_rfc6750_section_2_1() -> None:
    assert encode("mF_9.B5f-4.1JqM") == "Bearer mF_9.B5f-4.1JqM"


@given(any_text | any_text.map("Bearer {}".format))
def test_decode_gives_a_token_nothing_or_a_refusal_for_any_header(header: str) -> None:
    token = value_or_refusal(decode, header)
    if token is not None:
        assert header.lower().startswith("bearer ")
        assert set(token) <= TOKEN_SIGNS | {"="}
        assert token in header


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_bearer_scheme_is_read_in_any_letter_case(scheme: str) -> None:
    assert decode(f"{scheme} token") == "token"


def test_token_keeps_every_letter_at_its_ends() -> None:
    assert decode("Bearer XxtokenxX") == "XxtokenxX"


@pytest.mark.parametrize("header", ["Bearer   token", "Bearer token  "])
def test_spaces_around_the_token_are_ignored(header: str) -> None:
    assert decode(header) == "token"


@pytest.mark.parametrize(
    "header",
    [None, "", " ", "Basic YTpi", "Bearerx token", "Bearer-token", "Bearer\ttoken", " Bearer token", "DPoP token", "é"],
)
def test_header_that_is_missing_or_of_another_scheme_gives_none(header: str | None) -> None:
    assert decode(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "bearer   ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a, Basic YTpi",
        "Bearer a\tb",
        "Bearer a\n",
        "Bearer\n",
        "Bearer a\0",
        "Bearer é",
        'Bearer "a"',
        "Bearer a=b",
        "Bearer =",
        "Bearer \ud800",
    ],
    ids=ascii,
)
def test_bearer_header_without_exactly_one_token_is_refused(header: str) -> None:
    assert refusal(decode, header) == MALFORMED


def test_challenge_without_error_is_for_a_request_without_token() -> None:
    assert challenge() == "Bearer"


def test_challenge_names_error_description_scope_and_metadata() -> None:
    made = challenge(
        OAuthError("insufficient_scope", "The token lacks a scope.", detail="token 7"),
        scope="read write",
        resource_metadata="https://api.example/.well-known/oauth-protected-resource",
    )
    assert made == (
        'Bearer error="insufficient_scope", error_description="The token lacks a scope.", scope="read write", '
        'resource_metadata="https://api.example/.well-known/oauth-protected-resource"'
    )


def test_challenge_leaves_out_what_is_empty() -> None:
    assert challenge(OAuthError("invalid_token", "")) == 'Bearer error="invalid_token"'
    assert challenge(scope="read") == 'Bearer scope="read"'


@given(public, public, scopes)
def test_challenge_is_one_line_whose_quoted_values_are_those_given(error: str, text: str, tokens: tuple[str]) -> None:
    made = challenge(OAuthError(error, text), scope=" ".join(tokens))
    assert made.isprintable()
    quoted = re.findall(r'([a-z_]+)="([^"]*)"', made)
    expected = [("error", error), ("error_description", text), ("scope", " ".join(tokens))]
    assert quoted == [(name, value) for name, value in expected if value]
