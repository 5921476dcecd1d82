"""The revocation request (RFC 7009 §2.1)."""

from __future__ import annotations

import pytest
from hypothesis import given

from django_pkce_auth.protocol.parameters import Parameters, encode
from django_pkce_auth.protocol.revocation import RevocationRequest
from tests.protocol.wire import any_message, any_parameters, maybe_visible, refusal, value_or_refusal, visible


@given(visible, maybe_visible)
def test_request_survives_the_wire(token: str, hint: str | None) -> None:
    request = RevocationRequest(token, hint or None)
    assert RevocationRequest.decode(Parameters.parse(encode(request.encode()))) == request


@given(any_parameters)
def test_any_parameters_give_a_request_or_an_oauth_error(parameters: Parameters) -> None:
    value_or_refusal(RevocationRequest.decode, parameters)


@given(any_message)
def test_any_message_gives_a_request_or_an_oauth_error(message: str | bytes) -> None:
    value_or_refusal(lambda: RevocationRequest.decode(Parameters.parse(message)))


def test_token_missing_is_named() -> None:
    error, description = refusal(RevocationRequest.decode, Parameters.of(token_type_hint="access_token"))
    assert error == "invalid_request"
    assert "token is missing" in description


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml"])
def test_hint_of_any_kind_is_taken(hint: str) -> None:
    assert RevocationRequest.decode(Parameters.of(token="x", token_type_hint=hint)).token_type_hint == hint


def test_token_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(RevocationRequest("s3cret"))
