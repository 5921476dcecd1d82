from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.authentication_methods import AUTHENTICATION_METHODS
from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.protocol.parameters import Parameters, encode

from .wire import any_parameters, any_text, refusal, value_or_refusal, visible

NOTHING = Parameters.parse("")
MALFORMED = (
    "invalid_client",
    "The Authorization header is not HTTP Basic with base64 of client_id, colon and client_secret.",
)


def basic(pair: str | bytes, scheme: str = "Basic") -> str:
    raw = pair if isinstance(pair, bytes) else pair.encode()
    return f"{scheme} {base64.b64encode(raw).decode()}"


def parts(credentials: ClientCredentials) -> tuple[str, str | None, str]:
    return credentials.client_id, credentials.client_secret, credentials.method


@given(visible, visible)
def test_credentials_are_unchanged_by_the_basic_header(client_id: str, secret: str) -> None:
    sent = ClientCredentials(client_id, secret, "client_secret_basic")
    assert parts(ClientCredentials.decode(sent.header(), NOTHING)) == parts(sent)


@given(visible, visible)
def test_credentials_are_unchanged_by_the_body(client_id: str, secret: str) -> None:
    sent = ClientCredentials(client_id, secret, "client_secret_post")
    assert ClientCredentials.decode(None, Parameters.parse(encode(sent.parameters()))) == sent


@given(visible)
def test_public_client_is_unchanged_by_the_body(client_id: str) -> None:
    sent = ClientCredentials(client_id)
    assert ClientCredentials.decode(None, Parameters.parse(encode(sent.parameters()))) == sent


@given(
    st.none()
    | any_text
    | any_text.map("Basic {}".format)
    | st.binary(max_size=60).map(basic)
    | any_text.map(lambda text: basic(text.encode("utf-8", "surrogatepass"))),
    any_parameters,
)
def test_decode_gives_credentials_or_a_refusal_for_any_header_and_body(header: str | None, body: Parameters) -> None:
    credentials = value_or_refusal(ClientCredentials.decode, header, body)
    if credentials is not None:
        assert credentials.method in AUTHENTICATION_METHODS
        assert (credentials.client_secret is None) == (credentials.method == "none")
        assert (credentials.method == "client_secret_basic") == (header is not None)


def test_basic_header_is_that_of_rfc6749_section_2_3_1() -> None:
    header = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
    assert ClientCredentials("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", "client_secret_basic").header() == header
    decoded = ClientCredentials.decode(header, NOTHING)
    assert parts(decoded) == ("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", "client_secret_basic")
    assert decoded.alternatives == ()


def test_basic_header_form_encodes_both_halves() -> None:
    header = ClientCredentials("https://app.example/id", "50%+ off:é", "client_secret_basic").header()
    encoded = base64.b64decode(header.removeprefix("Basic ")).decode()
    assert encoded == "https%3A%2F%2Fapp.example%2Fid:50%25%2B+off%3A%C3%A9"


def test_basic_header_of_a_client_without_secret_has_an_empty_half() -> None:
    assert base64.b64decode(ClientCredentials("app").header().removeprefix("Basic ")) == b"app:"


def test_basic_header_leaves_nothing_for_the_body() -> None:
    assert ClientCredentials("app", "secret", "client_secret_basic").parameters() == []


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc", "Basic "])
def test_basic_scheme_is_read_in_any_letter_case(scheme: str) -> None:
    assert parts(ClientCredentials.decode(basic("app:secret", scheme), NOTHING))[:2] == ("app", "secret")


@pytest.mark.parametrize("scheme", ["ba\u017fic", "Basi\u212a", "Bearer", "Digest", "Basicx", ""], ids=ascii)
def test_header_of_another_scheme_is_refused(scheme: str) -> None:
    assert refusal(ClientCredentials.decode, basic("app:secret", scheme), NOTHING) == MALFORMED


@pytest.mark.parametrize("letters", ["\u017f\u017f\u017f\u017f", "\u212a\u212a\u212a\u212a"], ids=ascii)
def test_header_with_letters_that_only_fold_to_ascii_is_refused(letters: str) -> None:
    # The long s and the Kelvin sign match [a-z] under IGNORECASE; base64 then raised a bare ValueError.
    assert refusal(ClientCredentials.decode, f"Basic {letters}", NOTHING) == MALFORMED


@pytest.mark.parametrize(
    ("sent", "decoded", "raw"),
    [
        ("app:a%2Bb", "a+b", "a%2Bb"),
        ("app:a+b", "a b", "a+b"),
        ("app:50%25", "50%", "50%25"),
        ("app:%41+%zz", "A %zz", "%41+%zz"),
    ],
)
def test_secret_is_read_form_encoded_first_and_raw_as_alternative(sent: str, decoded: str, raw: str) -> None:
    credentials = ClientCredentials.decode(basic(sent), NOTHING)
    assert parts(credentials) == ("app", decoded, "client_secret_basic")
    assert credentials.alternatives == (("app", raw),)


@pytest.mark.parametrize("secret", ["plain", "50%", "a%zzb", "a:b:c", "%00", "%ff", "%C3%A9", "%0A", 'quo"te', " "])
def test_secret_that_does_not_decode_to_printable_ascii_is_read_raw_alone(secret: str) -> None:
    credentials = ClientCredentials.decode(basic(f"app:{secret}"), NOTHING)
    assert parts(credentials) == ("app", secret, "client_secret_basic")
    assert credentials.alternatives == ()


def test_raw_reading_holds_both_halves_as_they_came() -> None:
    credentials = ClientCredentials.decode(basic("app%20one:a+b"), NOTHING)
    assert parts(credentials)[:2] == ("app one", "a b")
    assert credentials.alternatives == (("app%20one", "a+b"),)


@given(visible, visible)
def test_secret_sent_raw_is_among_the_readings(client_id: str, secret: str) -> None:
    client_id = client_id.replace(":", "-")
    credentials = ClientCredentials.decode(basic(f"{client_id}:{secret}"), NOTHING)
    readings = {(credentials.client_id, credentials.client_secret), *credentials.alternatives}
    assert (client_id, secret) in readings


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YQ",
        "Basic YXBwOnNlY3JldA",
        "Basic YXBwOnNlY3JldA== x",
        "Basic YXBwOnNlY3JldA==\n",
        "Basic\tYXBwOnNlY3JldA==",
        " Basic YXBwOnNlY3JldA==",
        "YXBwOnNlY3JldA==",
        basic("app"),
        basic(":secret"),
        basic("app:"),
        basic(":"),
        basic("app:sécret"),
        basic(b"app:\xff"),
        basic("app:sec\0ret"),
        basic("app:secret\n"),
        basic("ap\np:secret"),
    ],
)
def test_malformed_basic_header_is_refused(header: str) -> None:
    assert refusal(ClientCredentials.decode, header, NOTHING) == MALFORMED


def test_malformed_header_is_not_rescued_by_the_body() -> None:
    assert refusal(ClientCredentials.decode, "Bearer token", Parameters.of(client_id="app")) == MALFORMED


def test_secret_in_header_and_body_at_once_is_refused() -> None:
    body = Parameters.of(client_id="app", client_secret="secret")
    assert refusal(ClientCredentials.decode, basic("app:secret"), body) == (
        "invalid_request",
        "The client authenticated by header and by body at once; use one of the two.",
    )


def test_blank_secret_in_the_body_does_not_count_beside_the_header() -> None:
    body = Parameters.parse("client_id=app&client_secret=")
    assert parts(ClientCredentials.decode(basic("app:secret"), body)) == ("app", "secret", "client_secret_basic")


@pytest.mark.parametrize("body_id", ["app+one", "app one"])
def test_client_id_in_the_body_may_repeat_either_reading_of_the_header(body_id: str) -> None:
    credentials = ClientCredentials.decode(basic("app+one:secret"), Parameters.of(client_id=body_id))
    assert credentials.client_id == "app one"


@pytest.mark.parametrize("body_id", ["other", "App", "app "])
def test_client_id_in_the_body_that_is_not_the_headers_is_refused(body_id: str) -> None:
    assert refusal(ClientCredentials.decode, basic("app:secret"), Parameters.of(client_id=body_id)) == (
        "invalid_request",
        "client_id in the body is not that of the Authorization header.",
    )


@pytest.mark.parametrize("body", ["", "client_id=", "client_secret=secret", "client_id=&client_secret=secret"])
def test_request_without_client_id_is_refused(body: str) -> None:
    assert refusal(ClientCredentials.decode, None, Parameters.parse(body)) == (
        "invalid_client",
        "No client identification arrived; send client_id in the body, or HTTP Basic.",
    )


def test_blank_secret_in_the_body_makes_a_public_client() -> None:
    credentials = ClientCredentials.decode(None, Parameters.parse("client_id=app&client_secret="))
    assert parts(credentials) == ("app", None, "none")


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_body_credentials_outside_printable_ascii_are_refused_by_name(name: str) -> None:
    body = Parameters.of(**{"client_id": "app", "client_secret": "secret", name: "é"})
    assert refusal(ClientCredentials.decode, None, body) == (
        "invalid_request",
        f"{name} holds a character outside printable ASCII; send it without.",
    )


def test_repr_of_credentials_shows_no_secret_in_any_reading() -> None:
    credentials = ClientCredentials.decode(basic("app:top%2Bsecret"), NOTHING)
    assert repr(credentials) == "ClientCredentials(client_id='app', method='client_secret_basic')"
