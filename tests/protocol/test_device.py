"""The device authorization grant's messages (RFC 8628)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.device import (
    USER_CODE_LENGTH,
    USER_CODE_LETTERS,
    DeviceAuthorizationRequest,
    DeviceAuthorizationResponse,
    DeviceTokenRequest,
    read_user_code,
    show_user_code,
)
from django_pkce_auth.protocol.parameters import Parameters, encode
from tests.protocol.test_introspection import json_value
from tests.protocol.wire import any_parameters, any_text, refusal, resources, scopes, value_or_refusal, visible

codes = st.text(USER_CODE_LETTERS, min_size=USER_CODE_LENGTH, max_size=USER_CODE_LENGTH)
some_text = st.text(st.characters(codec="utf-8"), min_size=1)


@given(scopes, resources)
def test_authorization_request_survives_the_wire(names: tuple[str, ...], targets: tuple[str, ...]) -> None:
    request = DeviceAuthorizationRequest(names, targets)
    assert DeviceAuthorizationRequest.decode(Parameters.parse(encode(request.encode()))) == request


@given(visible, resources)
def test_token_request_survives_the_wire(device_code: str, targets: tuple[str, ...]) -> None:
    request = DeviceTokenRequest(device_code, targets)
    sent = Parameters.parse(encode(request.encode()))
    assert DeviceTokenRequest.decode(sent) == request
    assert sent.get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code"


@given(
    st.builds(
        DeviceAuthorizationResponse,
        device_code=some_text,
        user_code=some_text,
        verification_uri=some_text,
        expires_in=st.integers(1, 10**7 - 1),
        interval=st.integers(1, 10**7 - 1),
        verification_uri_complete=st.none() | some_text,
    )
)
def test_authorization_response_survives_the_wire(response: DeviceAuthorizationResponse) -> None:
    members = json.loads(json.dumps(response.encode()))
    assert None not in members.values()
    assert DeviceAuthorizationResponse.decode(members) == response


@given(any_parameters)
def test_any_parameters_give_a_request_or_an_oauth_error(parameters: Parameters) -> None:
    value_or_refusal(DeviceAuthorizationRequest.decode, parameters)
    value_or_refusal(DeviceTokenRequest.decode, parameters)


_MEMBERS = [
    "device_code",
    "user_code",
    "verification_uri",
    "verification_uri_complete",
    "expires_in",
    "interval",
]
_WHOLE = {"device_code": "d", "user_code": "u", "verification_uri": "https://as.example/device", "expires_in": 600}


@given(json_value | st.dictionaries(st.sampled_from(_MEMBERS), json_value).map(lambda changes: _WHOLE | changes))
def test_any_answer_gives_a_value_or_an_oauth_error(members: Any) -> None:
    response = value_or_refusal(DeviceAuthorizationResponse.decode, members)
    assert response is None or response.interval > 0


@pytest.mark.parametrize("name", ["device_code", "user_code", "verification_uri"])
@pytest.mark.parametrize("value", [None, "", 1, []])
def test_answer_without_what_it_needs_names_it(name: str, value: Any) -> None:
    assert name in refusal(DeviceAuthorizationResponse.decode, _WHOLE | {name: value})[1]


def test_answer_without_interval_means_five_seconds_rfc8628_3_2() -> None:
    assert DeviceAuthorizationResponse.decode(_WHOLE).interval == 5


@given(codes, st.data())
def test_user_code_is_read_however_it_is_typed_rfc8628_6_1(code: str, data: st.DataObject) -> None:
    noise = data.draw(st.lists(st.sampled_from(["", "-", " ", ".", "\t", "—"]), min_size=8, max_size=8))
    typed = "".join(letter + sign for letter, sign in zip(code, noise, strict=True))
    for variant in (code, show_user_code(code), code.lower(), f"  {typed.swapcase()}\n"):
        assert read_user_code(variant) == code


@given(any_text)
def test_user_code_of_any_text_is_a_code_or_none(typed: str) -> None:
    code = read_user_code(typed)
    assert code is None or re.fullmatch(f"[{USER_CODE_LETTERS}]{{8}}", code)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "WDJB",
        "WDJBMJH0",
        "WDJBMJHTX",
        "AEIOUAEI",
        "\0",
        "\uff37\uff24\uff2a\uff22\uff2d\uff2a\uff28\uff34",
        "x" * 10**6,
    ],
)
def test_user_code_that_none_can_be_is_none(typed: str) -> None:
    assert read_user_code(typed) is None


def test_user_code_is_shown_in_two_halves_rfc8628_6_1() -> None:
    assert show_user_code("WDJBMJHT") == "WDJB-MJHT"


def test_user_code_is_looked_for_in_the_first_hundred_characters() -> None:
    assert read_user_code(" " * 92 + "WDJBMJHT") == "WDJBMJHT"
    assert read_user_code(" " * 93 + "WDJBMJHT") is None


def test_user_code_has_enough_bits_rfc8628_5_1() -> None:
    assert len(set(USER_CODE_LETTERS)) ** USER_CODE_LENGTH > 2**34
    assert not set(USER_CODE_LETTERS) & set("AEIOUY0123456789")


def test_codes_are_not_in_the_reprs() -> None:
    answer = DeviceAuthorizationResponse("s3cret", "s3cret", "https://as.example/device", 600, 5, "https://x/?c=s3cret")
    assert "s3cret" not in repr(DeviceTokenRequest("s3cret")) + repr(answer)


@pytest.mark.parametrize(
    ("sent", "expires_in", "interval"),
    [(0, 0, 5), (1, 1, 1), (10**7 - 1, 10**7 - 1, 10**7 - 1), (10**7, 0, 5), (-1, 0, 5), (True, 0, 5), (None, 0, 5)],
)
def test_time_is_a_number_of_seconds_rfc8628_3_2(sent: object, expires_in: int, interval: int) -> None:
    answer = DeviceAuthorizationResponse.decode(_WHOLE | {"expires_in": sent, "interval": sent})
    assert (answer.expires_in, answer.interval) == (expires_in, interval)


def test_link_that_is_no_text_counts_as_left_out() -> None:
    answer = DeviceAuthorizationResponse.decode(_WHOLE | {"verification_uri_complete": ["https://as.example"]})
    assert answer.verification_uri_complete is None


def test_answer_that_is_no_object_is_refused() -> None:
    assert refusal(DeviceAuthorizationResponse.decode, []) == (
        "invalid_request",
        "The device authorization response is not a JSON object.",
    )
