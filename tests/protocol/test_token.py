from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.errors import OAuthError
from django_pkce_auth.protocol.parameters import Parameters, encode
from django_pkce_auth.protocol.token import (
    AuthorizationCodeTokenRequest,
    ClientCredentialsTokenRequest,
    RefreshTokenRequest,
    TokenResponse,
    decode_error,
    encode_error,
)

from .wire import (
    NQCHAR,
    VERIFIER,
    any_message,
    any_parameters,
    any_text,
    assert_public,
    maybe_visible,
    public,
    refusal,
    resources,
    scopes,
    text_of,
    value_or_refusal,
    verifiers,
    visible,
)

NO_TOKEN = ("invalid_request", "The token response has no access_token of printable ASCII.")
WRONG_TYPE = ("invalid_request", "The token response has a token_type other than Bearer.")

code_requests = st.builds(
    AuthorizationCodeTokenRequest,
    code=visible,
    code_verifier=verifiers,
    redirect_uri=maybe_visible,
    resources=resources,
)
refresh_requests = st.builds(RefreshTokenRequest, refresh_token=visible, scopes=scopes, resources=resources)
token_responses = st.builds(
    TokenResponse,
    access_token=visible,
    token_type=st.just("Bearer"),
    expires_in=st.none() | st.integers(min_value=1, max_value=10**10 - 1),
    refresh_token=maybe_visible,
    # Without the comma, which decode() reads as a separator.
    scopes=st.none() | st.lists(text_of(NQCHAR - {","}), unique=True, max_size=5).map(tuple),
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "access_token": any_json | visible,
        "token_type": any_json | st.sampled_from(["Bearer", "bearer", "mac"]),
        "expires_in": any_json,
        "expires": any_json,
        "refresh_token": any_json | visible,
        "scope": any_json,
        "error": any_json,
        "error_description": any_json,
    },
)


def decode(**changes: object) -> TokenResponse:
    return TokenResponse.decode({"access_token": "t", "token_type": "Bearer", **changes})


@given(code_requests)
def test_code_token_request_is_unchanged_by_the_body(request: AuthorizationCodeTokenRequest) -> None:
    parameters = Parameters.parse(encode(request.encode()))
    assert parameters.get("grant_type") == "authorization_code"
    assert AuthorizationCodeTokenRequest.decode(parameters) == request


@given(refresh_requests)
def test_refresh_token_request_is_unchanged_by_the_body(request: RefreshTokenRequest) -> None:
    parameters = Parameters.parse(encode(request.encode()))
    assert parameters.get("grant_type") == "refresh_token"
    assert RefreshTokenRequest.decode(parameters) == request


@given(st.builds(ClientCredentialsTokenRequest, scopes=scopes, resources=resources))
def test_client_credentials_request_is_unchanged_by_the_body(request: ClientCredentialsTokenRequest) -> None:
    parameters = Parameters.parse(encode(request.encode()))
    assert parameters.get("grant_type") == "client_credentials"
    assert ClientCredentialsTokenRequest.decode(parameters) == request


@given(token_responses)
def test_token_response_is_unchanged_by_json(response: TokenResponse) -> None:
    assert TokenResponse.decode(json.loads(json.dumps(response.encode()))) == response


@given(public, st.just("") | public)
def test_error_response_is_unchanged_by_json(error: str, description: str) -> None:
    decoded = decode_error(json.loads(json.dumps(encode_error(OAuthError(error, description, detail="hidden")))))
    assert (decoded.error, decoded.description, decoded.detail) == (error, description, "")


@given(any_message)
def test_token_request_decoders_give_a_message_or_a_refusal_for_anything(message: str | bytes) -> None:
    parameters = value_or_refusal(Parameters.parse, message)
    if parameters is not None:
        value_or_refusal(AuthorizationCodeTokenRequest.decode, parameters)
        value_or_refusal(RefreshTokenRequest.decode, parameters)


@given(any_parameters)
def test_token_requests_are_decoded_or_refused_for_any_parameters(parameters: Parameters) -> None:
    with_code = Parameters({**parameters.values, "code": ("c",), "code_verifier": (VERIFIER,)})
    for given_parameters in (parameters, with_code):
        value_or_refusal(AuthorizationCodeTokenRequest.decode, given_parameters)
        value_or_refusal(RefreshTokenRequest.decode, given_parameters)


@given(any_json | members)
def test_token_response_is_decoded_or_refused_for_any_json(answer: object) -> None:
    response = value_or_refusal(TokenResponse.decode, answer)
    if response is not None:
        assert response.access_token.isascii()
        assert response.access_token.isprintable()
        assert response.expires_in is None or 1 <= response.expires_in < 10**10
    assert_public(decode_error(answer))


def test_code_token_request_without_redirect_uri_is_decoded() -> None:
    assert AuthorizationCodeTokenRequest.decode(
        Parameters.of(code="c", code_verifier=VERIFIER)
    ) == AuthorizationCodeTokenRequest("c", VERIFIER)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"code": ""}, "code is missing; this request needs it."),
        ({"code": "é"}, "code holds a character outside printable ASCII; send it without."),
        ({"code_verifier": ""}, "code_verifier is missing; this request needs it."),
        ({"code_verifier": "v" * 42}, "code_verifier has 42 characters, needs 43 to 128."),
        ({"code_verifier": "v" * 129}, "code_verifier has 129 characters, needs 43 to 128."),
        (
            {"code_verifier": "+" * 43},
            "code_verifier may hold only A-Z, a-z, 0-9, and the four signs - . _ ~",
        ),
        ({"redirect_uri": "ü"}, "redirect_uri holds a character outside printable ASCII; send it without."),
    ],
    ids=str,
)
def test_code_token_request_is_refused_with_what_was_wrong(changes: dict[str, str], told: str) -> None:
    parameters = Parameters.of(**{"code": "c", "code_verifier": VERIFIER, **changes})
    assert refusal(AuthorizationCodeTokenRequest.decode, parameters) == ("invalid_request", told)


def test_refresh_token_request_without_token_is_refused() -> None:
    assert refusal(RefreshTokenRequest.decode, Parameters.of(scope="read")) == (
        "invalid_request",
        "refresh_token is missing; this request needs it.",
    )


def test_refresh_token_request_with_malformed_scope_is_refused() -> None:
    assert refusal(RefreshTokenRequest.decode, Parameters.of(refresh_token="r", scope='"'))[0] == "invalid_scope"


def test_token_response_leaves_out_what_it_does_not_say() -> None:
    assert TokenResponse("t").encode() == {"access_token": "t", "token_type": "Bearer"}
    assert TokenResponse("t", "Bearer", 3600, "r", ("a", "b")).encode() == {
        "access_token": "t",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "r",
        "scope": "a b",
    }


def test_token_response_ignores_unknown_members() -> None:
    assert decode(id_token="x", user={"id": 1}) == TokenResponse("t")


@pytest.mark.parametrize("answer", [None, [], ["access_token"], "access_token=t", 1, True, b"{}"])
def test_token_response_that_is_no_object_is_refused(answer: object) -> None:
    assert refusal(TokenResponse.decode, answer) == ("invalid_request", "The token response is not a JSON object.")


@pytest.mark.parametrize("token", [None, "", 1, True, ["t"], {"t": 1}, "é", "a\nb", "a\0", "\x7f"], ids=ascii)
def test_access_token_that_is_missing_or_not_printable_is_refused(token: object) -> None:
    assert refusal(lambda: decode(access_token=token)) == NO_TOKEN


def test_token_response_without_access_token_is_refused() -> None:
    assert refusal(TokenResponse.decode, {"token_type": "Bearer"}) == NO_TOKEN


@pytest.mark.parametrize("token", [1, True, ["r"], "é", "a\nb"], ids=ascii)
def test_refresh_token_that_is_not_printable_is_refused(token: object) -> None:
    assert refusal(lambda: decode(refresh_token=token)) == (
        "invalid_request",
        "The token response has a refresh_token that is no printable ASCII.",
    )


@pytest.mark.parametrize("token", [None, ""])
def test_refresh_token_that_is_empty_counts_as_left_out(token: str | None) -> None:
    assert decode(refresh_token=token).refresh_token is None


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", None])
def test_token_type_bearer_is_read_in_any_letter_case(token_type: str | None) -> None:
    assert decode(token_type=token_type).token_type == "Bearer"


def test_token_type_that_is_missing_counts_as_bearer() -> None:
    assert TokenResponse.decode({"access_token": "t"}).token_type == "Bearer"


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "N_A", "", "Bearer ", "token", 1, ["Bearer"]])
def test_token_type_other_than_bearer_is_refused(token_type: object) -> None:
    assert refusal(lambda: decode(token_type=token_type)) == WRONG_TYPE


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (3600, 3600),
        (1, 1),
        ("3600", 3600),
        (3600.0, 3600),
        (3599.9, 3599),
        (10**10 - 1, 10**10 - 1),
        (10**10, None),
        (0, None),
        (-1, None),
        (0.5, None),
        ("0", None),
        ("-3600", None),
        ("3600.0", None),
        ("1h", None),
        ("", None),
        ("\u0663", None),
        ("9" * 5_000, None),
        (True, None),
        (False, None),
        (None, None),
        ([3600], None),
        (float("nan"), None),
        (float("inf"), None),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_lifetime_is_read_leniently_and_nonsense_counts_as_not_said(sent: object, read: int | None) -> None:
    assert decode(expires_in=sent).expires_in == read
    assert decode(expires=sent).expires_in == read


def test_lifetime_that_is_absent_is_not_made_up() -> None:
    assert decode().expires_in is None


def test_expires_in_is_preferred_to_expires() -> None:
    assert decode(expires_in=60, expires=3600).expires_in == 60


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("read write", ("read", "write")),
        ("repo,user:email", ("repo", "user:email")),
        ("repo, user", ("repo", "user")),
        ("read read", ("read",)),
        ("", ()),
        (None, None),
        (["read"], None),
    ],
)
def test_scope_of_the_response_is_read_with_spaces_or_commas(sent: object, read: tuple[str, ...] | None) -> None:
    assert decode(scope=sent).scopes == read


def test_scope_of_the_response_that_is_malformed_is_refused() -> None:
    assert refusal(lambda: decode(scope='re"ad'))[0] == "invalid_scope"


def test_success_with_an_error_member_is_that_error() -> None:
    assert refusal(lambda: decode(error="bad_verification_code", error_description="The code expired.")) == (
        "bad_verification_code",
        "The code expired.",
    )


@pytest.mark.parametrize("error", [None, "", False, 0])
def test_success_with_an_empty_error_member_is_a_success(error: object) -> None:
    assert decode(error=error) == TokenResponse("t")


def test_success_with_an_error_object_is_a_server_error() -> None:
    assert refusal(lambda: decode(error={"message": "no"})) == (
        "server_error",
        "The answer is no error response of RFC 6749 section 5.2.",
    )


@pytest.mark.parametrize("answer", [None, [], "no", {}, {"error": 400}, {"error": ""}, {"error_description": "x"}])
def test_decode_error_of_what_names_none_is_a_server_error(answer: object) -> None:
    decoded = decode_error(answer)
    assert (decoded.error, decoded.description) == (
        "server_error",
        "The answer is no error response of RFC 6749 section 5.2.",
    )


def test_decode_error_makes_texts_public_and_cuts_them() -> None:
    decoded = decode_error({"error": 'in"valid\n' + "e" * 200, "error_description": "d\\" * 300})
    assert (decoded.error, decoded.description) == ("in?valid?" + "e" * 91, "d?" * 250)


def test_decode_error_keeps_a_text_up_to_its_limit() -> None:
    decoded = decode_error({"error": "e" * 101, "error_description": "d" * 501})
    assert (len(decoded.error), len(decoded.description)) == (100, 500)


def test_decode_error_without_a_description_of_text_has_none() -> None:
    assert decode_error({"error": "invalid_grant", "error_description": ["x"]}).description == ""


def test_encode_error_leaves_the_detail_out() -> None:
    assert encode_error(OAuthError("invalid_grant", "The code has expired.", detail="code 7")) == {
        "error": "invalid_grant",
        "error_description": "The code has expired.",
    }


def test_reprs_of_token_messages_show_no_code_token_or_verifier() -> None:
    messages = [
        AuthorizationCodeTokenRequest("hidden-code", "hidden-verifier", "https://app.example/cb"),
        RefreshTokenRequest("hidden-token", ("read",)),
        TokenResponse("hidden-token", "Bearer", 3600, "hidden-token", ("read",)),
    ]
    assert "hidden" not in repr(messages)
    assert repr(messages[2]) == "TokenResponse(token_type='Bearer', expires_in=3600, scopes=('read',))"
