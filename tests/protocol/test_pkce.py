from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import assume, given

from django_pkce_auth.protocol.pkce import (
    CODE_CHALLENGE_METHODS,
    check_challenge,
    check_verifier,
    code_challenge,
    verify,
)

from .wire import BASE64URL, CHALLENGE, UNRESERVED, VERIFIER, any_text, challenges, refusal, value_or_refusal, verifiers

BAD_CHALLENGE_SIGN = ("invalid_request", "code_challenge may hold only A-Z, a-z, 0-9, - and _ (base64url).")
BAD_VERIFIER_SIGN = ("invalid_request", "code_verifier may hold only A-Z, a-z, 0-9, and the four signs - . _ ~")
MISMATCH = ("invalid_grant", "code_verifier does not match the code_challenge of the authorization request.")


def test_code_challenge_is_that_of_rfc7636_appendix_b() -> None:
    assert code_challenge(VERIFIER) == CHALLENGE


def test_verify_accepts_the_pair_of_rfc7636_appendix_b() -> None:
    verify(VERIFIER, CHALLENGE)


def test_s256_is_the_only_method() -> None:
    assert CODE_CHALLENGE_METHODS == ("S256",)


@given(verifiers)
def test_code_challenge_is_unpadded_base64url_of_the_digest(verifier: str) -> None:
    made = code_challenge(verifier)
    assert len(made) == 43
    assert set(made) <= BASE64URL
    assert base64.urlsafe_b64decode(made + "=") == hashlib.sha256(verifier.encode()).digest()


@given(verifiers)
def test_every_verifier_proves_its_own_challenge(verifier: str) -> None:
    verify(check_verifier(verifier), check_challenge(code_challenge(verifier), "S256"))


@given(verifiers, verifiers)
def test_no_verifier_proves_the_challenge_of_another(one: str, other: str) -> None:
    assume(one != other)
    assert refusal(verify, one, code_challenge(other)) == MISMATCH


def test_verify_refuses_the_challenge_itself_as_verifier() -> None:
    # What an attacker who saw the authorization request holds; `plain` would have let it pass.
    assert refusal(verify, CHALLENGE, CHALLENGE) == MISMATCH


def test_verify_refuses_a_verifier_of_other_letter_case() -> None:
    assert refusal(verify, VERIFIER.swapcase(), CHALLENGE) == MISMATCH


@pytest.mark.parametrize("length", [43, 44, 127, 128])
def test_verifier_is_accepted_within_its_lengths(length: int) -> None:
    assert check_verifier("v" * length) == "v" * length


@pytest.mark.parametrize("length", [0, 1, 42, 129, 4_096])
def test_verifier_is_refused_outside_its_lengths_with_its_own_length(length: int) -> None:
    assert refusal(check_verifier, "v" * length) == (
        "invalid_request",
        f"code_verifier has {length} characters, needs 43 to 128.",
    )


@pytest.mark.parametrize("sign", ["+", "/", "=", " ", "!", "%", "\n", "\0", "é", "\ud800", "\u0661"], ids=ascii)
def test_verifier_is_refused_with_a_sign_outside_unreserved(sign: str) -> None:
    assert refusal(check_verifier, "v" * 42 + sign) == BAD_VERIFIER_SIGN
    assert refusal(check_verifier, sign + "v" * 43) == BAD_VERIFIER_SIGN


def test_verifier_is_accepted_with_all_unreserved_signs() -> None:
    every = "".join(sorted(UNRESERVED))
    assert check_verifier(every) == every


@given(any_text)
def test_check_verifier_gives_the_verifier_or_a_refusal_for_any_text(text: str) -> None:
    assert value_or_refusal(check_verifier, text) in (None, text)


@given(challenges)
def test_challenge_is_returned_as_it_came(challenge: str) -> None:
    assert check_challenge(challenge, "S256") == challenge


@pytest.mark.parametrize("method", [None, "S256", "plain"])
def test_challenge_that_is_missing_is_told_before_its_method(method: str | None) -> None:
    assert refusal(check_challenge, None, method) == (
        "invalid_request",
        "code_challenge is missing; PKCE with S256 is required (RFC 7636).",
    )


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (None, "code_challenge_method is missing; send S256."),
        ("plain", "code_challenge_method plain is not accepted; send S256."),
        ("s256", "code_challenge_method is not one that this server knows; send S256."),
        ("S512", "code_challenge_method is not one that this server knows; send S256."),
        ("PLAIN", "code_challenge_method is not one that this server knows; send S256."),
        ("", "code_challenge_method is not one that this server knows; send S256."),
        ("S256\n", "code_challenge_method is not one that this server knows; send S256."),
        ('"\\é', "code_challenge_method is not one that this server knows; send S256."),
    ],
    ids=ascii,
)
def test_challenge_method_other_than_s256_is_refused_with_what_was_wrong(method: str | None, told: str) -> None:
    assert refusal(check_challenge, CHALLENGE, method) == ("invalid_request", told)


@pytest.mark.parametrize(
    "challenge", ["", CHALLENGE[:-1], CHALLENGE + "=", CHALLENGE + "A", CHALLENGE + "\n", "c" * 64]
)
def test_challenge_of_other_length_is_refused_with_its_own_length(challenge: str) -> None:
    assert refusal(check_challenge, challenge, "S256") == (
        "invalid_request",
        f"code_challenge has {len(challenge)} characters; S256 gives exactly 43, without padding.",
    )


@pytest.mark.parametrize("sign", ["+", "/", "=", ".", "~", " ", "\n", "é"], ids=ascii)
def test_challenge_with_a_sign_outside_base64url_is_refused(sign: str) -> None:
    assert refusal(check_challenge, CHALLENGE[:-1] + sign, "S256") == BAD_CHALLENGE_SIGN


@given(any_text, any_text)
def test_check_challenge_gives_the_challenge_or_a_refusal_for_any_text(challenge: str, method: str) -> None:
    assert value_or_refusal(check_challenge, challenge, method) in (None, challenge)
    assert value_or_refusal(check_challenge, challenge, "S256") in (None, challenge)
