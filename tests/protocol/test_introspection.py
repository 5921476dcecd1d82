"""The introspection request and its answer (RFC 7662 §2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.introspection import IntrospectionRequest, IntrospectionResponse
from django_pkce_auth.protocol.parameters import Parameters, encode
from tests.protocol.wire import any_parameters, maybe_visible, refusal, scopes, value_or_refusal, visible

utf8 = st.text(st.characters(codec="utf-8"))
seconds = st.none() | st.integers(0, 10**11 - 1)
responses = st.builds(
    IntrospectionResponse,
    active=st.just(True),
    client_id=utf8,
    username=st.none() | utf8,
    sub=st.none() | utf8,
    scopes=scopes,
    token_type=st.none() | st.just("Bearer"),
    exp=seconds,
    iat=seconds,
    iss=st.none() | utf8,
    audience=st.lists(utf8, max_size=3).map(tuple),
)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = ["active", "client_id", "username", "sub", "scope", "token_type", "exp", "iat", "iss", "aud"]
json_answers = json_value | st.dictionaries(st.sampled_from(_MEMBERS), json_value | st.just(True))


@given(visible, maybe_visible)
def test_request_survives_the_wire(token: str, hint: str | None) -> None:
    request = IntrospectionRequest(token, hint or None)
    assert IntrospectionRequest.decode(Parameters.parse(encode(request.encode()))) == request


@given(any_parameters)
def test_any_parameters_give_a_request_or_an_oauth_error(parameters: Parameters) -> None:
    value_or_refusal(IntrospectionRequest.decode, parameters)


@given(responses)
def test_response_survives_the_wire(response: IntrospectionResponse) -> None:
    members = json.loads(json.dumps(response.encode()))
    assert None not in members.values()
    assert IntrospectionResponse.decode(members) == response


@given(responses)
def test_inactive_response_says_nothing_but_that_rfc7662_2_2(response: IntrospectionResponse) -> None:
    inactive = IntrospectionResponse(active=False, client_id=response.client_id, sub=response.sub, exp=response.exp)
    assert inactive.encode() == {"active": False}
    assert IntrospectionResponse.decode({"active": False, "sub": "x"}).sub is None


@given(json_answers)
def test_any_answer_gives_a_value_or_an_oauth_error(members: Any) -> None:
    response = value_or_refusal(IntrospectionResponse.decode, members)
    assert response is None or response.active is members["active"]


@pytest.mark.parametrize("members", [None, [], {}, {"active": "true"}, {"active": 1}, {"active": None}])
def test_answer_that_does_not_say_active_is_refused(members: Any) -> None:
    assert "active" in refusal(IntrospectionResponse.decode, members)[1]


def test_audience_may_be_one_string_rfc7662_2_2() -> None:
    assert IntrospectionResponse.decode({"active": True, "aud": "https://api.example"}).audience == (
        "https://api.example",
    )


def test_inactive_answer_says_nothing_else_rfc7662_2_2() -> None:
    read = IntrospectionResponse.decode({"active": False, "token_type": "Bearer", "client_id": "app", "exp": 1})
    assert read == IntrospectionResponse(active=False, token_type=None)


@pytest.mark.parametrize(
    ("sent", "read"),
    [(0, 0), (1, 1), (1.9, 1), (10**11 - 1, 10**11 - 1), (10**11, None), (-1, None), (True, None), ("1", None)],
)
def test_time_is_a_number_of_seconds_since_1970_rfc7662_2_2(sent: object, read: int | None) -> None:
    answer = IntrospectionResponse.decode({"active": True, "exp": sent, "iat": sent})
    assert (answer.exp, answer.iat) == (read, read)


@pytest.mark.parametrize("answer", [None, [], {}, {"active": "true"}, {"active": 1}])
def test_answer_that_does_not_say_is_refused(answer: object) -> None:
    assert refusal(IntrospectionResponse.decode, answer) == (
        "invalid_request",
        "The introspection response does not say whether the token is active.",
    )
