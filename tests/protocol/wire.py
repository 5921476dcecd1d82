"""What the tests of this directory share: values as they may arrive, and how a refusal is read."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st

from django_pkce_auth.protocol.errors import OAuthError
from django_pkce_auth.protocol.parameters import Parameters

T = TypeVar("T")

# RFC 6749 §5.2 and appendix A, written out a second time so that the code's own patterns are put to the test.
PUBLIC = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}
VSCHAR = {chr(code) for code in range(0x20, 0x7F)}
NQCHAR = PUBLIC - {" "}
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")
BASE64URL = set(string.ascii_letters + string.digits + "-_")

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def text_of(characters: set[str], *, least: int = 1, most: int = 80) -> st.SearchStrategy[str]:
    return st.text(sorted(characters), min_size=least, max_size=most)


visible = text_of(VSCHAR)
maybe_visible = st.none() | visible
public = text_of(PUBLIC)
scope_token = text_of(NQCHAR, most=100)
scopes = st.lists(scope_token, unique=True, max_size=6).map(tuple)
verifiers = text_of(UNRESERVED, least=43, most=128)
challenges = text_of(BASE64URL, least=43, most=43)
# Lone surrogates too: a header may hold them where the server decoded it with surrogateescape.
any_text = st.text(st.characters(), max_size=200)
# RFC 8707 §2 gives resources the form of URIs; the wire carries any text.
resources = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), max_size=3).map(tuple)

_NAMES = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "code",
    "code_challenge",
    "code_verifier",
    "code_challenge_method",
    "resource",
    "prompt",
    "login_hint",
    "max_age",
    "grant_type",
    "refresh_token",
    "error",
    "error_description",
    "error_uri",
    "iss",
]
_PIECES = [
    "",
    "code",
    "S256",
    "plain",
    "0",
    "3600",
    "none",
    "login",
    "+",
    "%20",
    "%00",
    "%ff",
    "%C3%A9",
    "%",
    "%4",
    "=",
]
_PIECES += ["é", "\0", "\n", '"', "%22", "%5C", ";", VERIFIER, CHALLENGE, "x" * 5_000]
_pair = st.tuples(st.sampled_from(_NAMES) | any_text, st.lists(st.sampled_from(_PIECES), max_size=3).map("".join))
form_like = st.lists(_pair.map("=".join), max_size=12).map("&".join)
any_message: st.SearchStrategy[str | bytes] = st.binary(max_size=200) | any_text | form_like
# Parameters that have passed parse(), or were never text at all: what every decoder behind it must stand.
any_parameters = st.dictionaries(
    st.sampled_from(_NAMES),
    st.lists(any_text | st.sampled_from(_PIECES), min_size=1, max_size=2).map(tuple),
).map(Parameters)


def assert_public(error: OAuthError) -> None:
    assert set(error.error) <= PUBLIC
    assert set(error.description) <= PUBLIC
    assert error.error


def value_or_refusal(decode: Callable[..., T], *args: Any) -> T | None:
    """Return what ``decode`` gives, or None where it refuses; any exception but OAuthError fails the test."""
    try:
        return decode(*args)
    except OAuthError as error:
        assert_public(error)
        return None


def refusal(decode: Callable[..., object], *args: Any) -> tuple[str, str]:
    """Return error and description of the OAuthError that ``decode`` must raise."""
    with pytest.raises(OAuthError) as caught:
        decode(*args)
    assert_public(caught.value)
    return caught.value.error, caught.value.description
