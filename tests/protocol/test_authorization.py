from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_pkce_auth.protocol.authorization import (
    AuthorizationErrorResponse,
    AuthorizationRequest,
    AuthorizationResponse,
    decode_response,
)
from django_pkce_auth.protocol.parameters import MAX_MESSAGE_BYTES, Parameters

from .wire import (
    CHALLENGE,
    PUBLIC,
    any_message,
    any_parameters,
    challenges,
    maybe_visible,
    public,
    refusal,
    resources,
    scopes,
    value_or_refusal,
    visible,
)

ENDPOINT = "https://as.example/authorize"
MINIMAL = {
    "response_type": "code",
    "client_id": "app",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
INVISIBLE = "holds a character outside printable ASCII; send it without."

redirect_uris = st.sampled_from(
    ["https://app.example/cb", "https://app.example/cb?tenant=1", "com.example.app:/cb", "http://[::1]:8000/cb?"]
)
prompts = st.just(("none",)) | st.lists(st.sampled_from(["login", "consent", "select_account"]), unique=True).map(tuple)
requests = st.builds(
    AuthorizationRequest,
    client_id=visible,
    code_challenge=challenges,
    redirect_uri=maybe_visible,
    scopes=scopes,
    state=maybe_visible,
    resources=resources,
    prompts=prompts,
    login_hint=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    max_age=st.none() | st.integers(min_value=0, max_value=999_999_999),
)
responses = st.builds(AuthorizationResponse, code=visible, state=maybe_visible, iss=maybe_visible)
error_responses = st.builds(
    AuthorizationErrorResponse,
    error=public,
    error_description=st.none() | public,
    error_uri=st.none() | public,
    state=maybe_visible,
    iss=maybe_visible,
)


def query_of(url: str) -> Parameters:
    return Parameters.parse(urlsplit(url).query)


def decode(**changes: str | None) -> AuthorizationRequest:
    values = {**MINIMAL, **changes}
    return AuthorizationRequest.decode(Parameters.of(**{name: value for name, value in values.items() if value}))


@given(requests)
def test_authorization_request_is_unchanged_by_its_url(request: AuthorizationRequest) -> None:
    url = request.encode(ENDPOINT)
    assume(len(url) <= MAX_MESSAGE_BYTES)
    assert url.startswith(f"{ENDPOINT}?response_type=code&client_id=")
    assert AuthorizationRequest.decode(query_of(url)) == request


@given(responses, redirect_uris)
def test_authorization_response_is_unchanged_by_the_redirect(sent: AuthorizationResponse, uri: str) -> None:
    url = sent.encode(uri)
    assert url.startswith(uri)
    assert decode_response(query_of(url)) == sent


@given(error_responses, redirect_uris)
def test_authorization_error_is_unchanged_by_the_redirect(sent: AuthorizationErrorResponse, uri: str) -> None:
    url = sent.encode(uri)
    assert url.startswith(uri)
    assert decode_response(query_of(url)) == sent


@given(any_message)
def test_authorization_decoders_give_a_message_or_a_refusal_for_anything(message: str | bytes) -> None:
    parameters = value_or_refusal(Parameters.parse, message)
    if parameters is not None:
        value_or_refusal(AuthorizationRequest.decode, parameters)
        value_or_refusal(decode_response, parameters)


@given(any_parameters)
def test_authorization_request_is_decoded_or_refused_for_any_parameters(parameters: Parameters) -> None:
    almost = Parameters({**parameters.values, **{name: (value,) for name, value in MINIMAL.items()}})
    value_or_refusal(AuthorizationRequest.decode, parameters)
    value_or_refusal(AuthorizationRequest.decode, almost)


@given(any_parameters)
def test_authorization_response_holds_only_public_error_texts(parameters: Parameters) -> None:
    response = value_or_refusal(decode_response, parameters)
    if isinstance(response, AuthorizationErrorResponse):
        shown = (response.error, response.error_description or "", response.error_uri or "")
        assert all(set(text) <= PUBLIC for text in shown)
        assert response.error


def test_authorization_request_of_the_least_parameters_is_decoded() -> None:
    assert decode() == AuthorizationRequest(client_id="app", code_challenge=CHALLENGE)


def test_authorization_request_keeps_repeated_resources_in_order() -> None:
    query = f"response_type=code&client_id=app&code_challenge={CHALLENGE}&code_challenge_method=S256"
    query += "&resource=https%3A%2F%2Fb.example&resource=https%3A%2F%2Fa.example"
    decoded = AuthorizationRequest.decode(Parameters.parse(query))
    assert decoded.resources == ("https://b.example", "https://a.example")


def test_authorization_request_ignores_unknown_parameters() -> None:
    assert decode(nonce="n", utm_source="mail") == decode()


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"response_type": None}, "invalid_request", "response_type is missing; this request needs it."),
        (
            {"response_type": "token"},
            "unsupported_response_type",
            "response_type is not one that this server has: send code; the implicit grant is gone.",
        ),
        (
            {"response_type": "id_token"},
            "unsupported_response_type",
            "response_type is not one that this server has: send code; the implicit grant is gone.",
        ),
        (
            {"response_type": "code id_token"},
            "unsupported_response_type",
            "response_type is not one that this server has: send code.",
        ),
        (
            {"response_type": "CODE"},
            "unsupported_response_type",
            "response_type is not one that this server has: send code.",
        ),
        (
            {"response_mode": "fragment"},
            "invalid_request",
            "response_mode is not one that this server has; send query or nothing.",
        ),
        (
            {"code_challenge": None},
            "invalid_request",
            "code_challenge is missing; PKCE with S256 is required (RFC 7636).",
        ),
        ({"code_challenge_method": None}, "invalid_request", "code_challenge_method is missing; send S256."),
        (
            {"code_challenge_method": "plain"},
            "invalid_request",
            "code_challenge_method plain is not accepted; send S256.",
        ),
        (
            {"code_challenge": CHALLENGE + "="},
            "invalid_request",
            "code_challenge has 44 characters; S256 gives exactly 43, without padding.",
        ),
        ({"client_id": None}, "invalid_request", "client_id is missing; this request needs it."),
        ({"client_id": "äpp"}, "invalid_request", f"client_id {INVISIBLE}"),
        ({"redirect_uri": "https://bücher.example"}, "invalid_request", f"redirect_uri {INVISIBLE}"),
        ({"state": "a\nb"}, "invalid_request", f"state {INVISIBLE}"),
        (
            {"prompt": "login create"},
            "invalid_request",
            "prompt holds a word other than none, login, consent and select_account.",
        ),
        (
            {"prompt": "none login"},
            "invalid_request",
            "prompt none stands beside another word; send it alone.",
        ),
        ({"max_age": "-1"}, "invalid_request", "max_age is not a number of seconds; send digits only."),
        ({"max_age": "1.5"}, "invalid_request", "max_age is not a number of seconds; send digits only."),
        ({"max_age": "1" * 10}, "invalid_request", "max_age is not a number of seconds; send digits only."),
        (
            {"scope": "read\twrite"},
            "invalid_scope",
            "scope holds a character that no scope may have, or a scope of more than 100 characters; "
            "separate plain ASCII names by single spaces.",
        ),
    ],
    ids=str,
)
def test_authorization_request_is_refused_with_what_was_wrong(
    changes: dict[str, str | None], error: str, told: str
) -> None:
    assert refusal(lambda: decode(**changes)) == (error, told)


def test_response_type_is_told_before_a_missing_challenge() -> None:
    assert refusal(lambda: decode(response_type="token", code_challenge=None))[0] == "unsupported_response_type"


def test_response_mode_query_is_accepted() -> None:
    assert decode(response_mode="query") == decode()


def test_prompt_words_are_kept_in_order_and_once() -> None:
    assert decode(prompt="login  consent login").prompts == ("login", "consent")
    assert decode(prompt=" ").prompts == ()


@pytest.mark.parametrize(("sent", "read"), [("0", 0), ("007", 7), ("999999999", 999_999_999)])
def test_max_age_is_read_as_seconds(sent: str, read: int) -> None:
    assert decode(max_age=sent).max_age == read


def test_max_age_of_zero_is_sent() -> None:
    assert AuthorizationRequest("app", CHALLENGE, max_age=0).encode(ENDPOINT).endswith("&max_age=0")


def test_authorization_url_without_challenge_names_no_method() -> None:
    assert AuthorizationRequest("app", None).encode(ENDPOINT) == f"{ENDPOINT}?response_type=code&client_id=app"


def test_authorization_url_keeps_the_endpoints_own_query() -> None:
    url = AuthorizationRequest("app", None).encode("https://as.example/authorize?tenant=1")
    assert url == "https://as.example/authorize?tenant=1&response_type=code&client_id=app"


def test_extra_parameters_are_added_to_the_authorization_url() -> None:
    url = AuthorizationRequest("app", None).encode(ENDPOINT, extra={"access_type": "offline", "prompt": "consent"})
    assert url == f"{ENDPOINT}?response_type=code&client_id=app&access_type=offline&prompt=consent"


@given(requests, st.dictionaries(st.sampled_from(["client_id", "state", "code_challenge", "prompt"]), visible))
def test_extra_parameters_never_replace_those_of_the_request(
    request: AuthorizationRequest, extra: dict[str, str]
) -> None:
    sent = query_of(request.encode(ENDPOINT, extra=extra))
    assert sent.get("client_id") == request.client_id
    assert sent.get("code_challenge") == request.code_challenge
    assert sent.get("state") == (request.state or extra.get("state"))
    assert sent.get("prompt") == (" ".join(request.prompts) or extra.get("prompt"))


def test_response_with_code_and_error_at_once_is_refused() -> None:
    assert refusal(decode_response, Parameters.of(code="c", error="access_denied")) == (
        "invalid_request",
        "The authorization response holds both code and error.",
    )


@pytest.mark.parametrize("query", ["", "state=s&iss=i", "code=&error="])
def test_response_with_neither_code_nor_error_is_refused(query: str) -> None:
    assert refusal(decode_response, Parameters.parse(query)) == (
        "invalid_request",
        "The authorization response holds neither code nor error.",
    )


@pytest.mark.parametrize("name", ["code", "state", "iss"])
def test_response_outside_printable_ascii_is_refused_by_name(name: str) -> None:
    values = {"code": "c", "state": "s", "iss": "https://as.example", name: "é"}
    assert refusal(decode_response, Parameters.of(**values)) == ("invalid_request", f"{name} {INVISIBLE}")


def test_error_response_texts_are_made_public_and_cut() -> None:
    received = decode_response(
        Parameters.of(error='<b>"é' + "e" * 200, error_description="d\n" * 300, error_uri="https://\\" + "u" * 500)
    )
    assert received == AuthorizationErrorResponse(
        error="<b>??" + "e" * 95, error_description="d?" * 250, error_uri="https://?" + "u" * 491
    )


def test_response_ignores_unknown_parameters() -> None:
    assert decode_response(Parameters.of(code="c", session_state="x")) == AuthorizationResponse("c")


def test_reprs_of_authorization_messages_show_neither_code_nor_state() -> None:
    messages = [
        AuthorizationRequest("app", CHALLENGE, state="hidden-state"),
        AuthorizationResponse("hidden-code", "hidden-state", "https://as.example"),
        AuthorizationErrorResponse("access_denied", state="hidden-state"),
    ]
    assert "hidden" not in repr(messages)
    assert repr(messages[1]) == "AuthorizationResponse(iss='https://as.example')"
