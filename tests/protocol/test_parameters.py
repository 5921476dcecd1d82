from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.parameters import Parameters, add_to_query, encode

from .wire import any_message, any_text, refusal, value_or_refusal

plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
pairs = st.dictionaries(plain_text, plain_text, max_size=10)
NOT_ASCII = "The parameters hold bytes outside ASCII; percent-encode them as UTF-8."
BAD_ESCAPE = "A percent sign is not followed by two hexadecimal digits; encode it as %25."
NOT_UTF8 = "A percent-encoded parameter is not UTF-8; encode it as UTF-8."


@given(pairs)
def test_parameters_are_unchanged_by_encoding_and_parsing(values: dict[str, str]) -> None:
    expected = {name: (value,) for name, value in values.items()}
    encoded = encode(values.items())
    assert Parameters.parse(encoded).values == expected
    assert Parameters.parse(encoded.encode("ascii")).values == expected


@given(any_message)
def test_parse_gives_parameters_or_a_refusal_for_anything(message: str | bytes) -> None:
    parsed = value_or_refusal(Parameters.parse, message)
    for name, values in parsed.values.items() if parsed else ():
        assert values
        assert all(values)
        assert len(values) == 1 or name == "resource"
        assert not any("\0" in text for text in (name, *values))


def test_parse_reads_the_example_of_rfc6749_appendix_b() -> None:
    assert Parameters.parse(b"x=+%25%26%2B%C2%A3%E2%82%AC").get("x") == " %&+£€"


@pytest.mark.parametrize("empty", ["", b"", "&", "&&&"])
def test_parse_gives_nothing_for_an_empty_message(empty: str | bytes) -> None:
    assert Parameters.parse(empty).values == {}


@pytest.mark.parametrize("blank", ["state=&code=c", "state&code=c", "code=c&state="])
def test_blank_value_counts_as_left_out(blank: str) -> None:
    parameters = Parameters.parse(blank)
    assert parameters.values == {"code": ("c",)}
    assert parameters.get("state") is None
    assert parameters.all("state") == ()


def test_blank_value_is_missing_to_require() -> None:
    assert refusal(Parameters.parse("code=").require, "code") == (
        "invalid_request",
        "code is missing; this request needs it.",
    )


def test_blank_value_of_a_repeatable_parameter_is_left_out_alone() -> None:
    assert Parameters.parse("resource=&resource=https%3A%2F%2Fa.example").all("resource") == ("https://a.example",)


@pytest.mark.parametrize("repeated", ["state=a&state=b", "state=a&state=a", "state=&state=a", "st%61te=a&state=b"])
def test_parameter_sent_twice_is_refused_by_name(repeated: str) -> None:
    assert refusal(Parameters.parse, repeated) == ("invalid_request", "state was sent more than once; send it once.")


def test_parameter_names_differ_by_letter_case() -> None:
    assert Parameters.parse("state=a&State=b").values == {"state": ("a",), "State": ("b",)}


def test_resource_may_repeat_and_keeps_its_order() -> None:
    parameters = Parameters.parse("resource=https%3A%2F%2Fb.example&scope=s&resource=https%3A%2F%2Fa.example")
    assert parameters.all("resource") == ("https://b.example", "https://a.example")
    assert parameters.get("resource") == "https://b.example"


def test_odd_name_is_not_repeated_into_the_error_text() -> None:
    assert refusal(Parameters.parse, "%22%3Cb%3E=a&%22%3Cb%3E=b") == (
        "invalid_request",
        "A parameter was sent more than once; send it once.",
    )


def test_long_name_is_not_repeated_into_the_error_text() -> None:
    assert refusal(Parameters.parse, f"{'n' * 65}=a&{'n' * 65}=b")[1].startswith("A parameter was sent")
    assert refusal(Parameters.parse, f"{'n' * 64}=a&{'n' * 64}=b")[1].startswith("n" * 64 + " was sent")


@pytest.mark.parametrize("message", ["state=a%00b", "state=a\0b", b"state=%00"])
def test_nul_in_a_value_is_refused_by_name(message: str | bytes) -> None:
    assert refusal(Parameters.parse, message) == (
        "invalid_request",
        "state holds a NUL character; send it without.",
    )


def test_nul_in_a_name_is_refused_without_repeating_it() -> None:
    assert refusal(Parameters.parse, "sta%00te=a") == (
        "invalid_request",
        "A parameter holds a NUL character; send it without.",
    )


@pytest.mark.parametrize("message", ["state=é", "é=a", "state=é".encode(), b"state=\xff", "state=\ud800"], ids=ascii)
def test_raw_bytes_outside_ascii_are_refused(message: str | bytes) -> None:
    assert refusal(Parameters.parse, message) == ("invalid_request", NOT_ASCII)


@pytest.mark.parametrize("escape", ["%", "%4", "%zz", "%4g", "%%", "%+41", "% 41", "100%&b=c"])
def test_bad_percent_escape_is_refused(escape: str) -> None:
    assert refusal(Parameters.parse, f"state={escape}") == ("invalid_request", BAD_ESCAPE)


def test_percent_escape_is_read_in_either_letter_case() -> None:
    assert Parameters.parse("a=%c3%a9&b=%C3%A9").values == {"a": ("é",), "b": ("é",)}


@pytest.mark.parametrize("escape", ["%ff", "%C3", "%C0%AF", "%ED%A0%80", "%F4%90%80%80"])
def test_percent_escapes_that_are_not_utf8_are_refused(escape: str) -> None:
    assert refusal(Parameters.parse, f"state={escape}") == ("invalid_request", NOT_UTF8)
    assert refusal(Parameters.parse, f"{escape}=a") == ("invalid_request", NOT_UTF8)


def test_message_of_exactly_the_limit_is_read() -> None:
    message = "&".join(f"{name}={'x' * 4_000}" for name in "abcd") + "&e="
    message += "x" * (16_384 - len(message))
    assert len(message) == 16_384
    assert len(Parameters.parse(message).values) == 5


@pytest.mark.parametrize("kind", [str, str.encode])
def test_message_over_the_limit_is_refused_with_its_length(kind: type) -> None:
    assert refusal(Parameters.parse, kind("a=" + "&" * 16_383)) == (
        "invalid_request",
        "The parameters have 16385 bytes; at most 16384 are read.",
    )


def test_value_of_4096_characters_is_read_and_4097_refused_by_name() -> None:
    assert len(Parameters.parse("state=" + "x" * 4_096).require("state")) == 4_096
    assert refusal(Parameters.parse, "state=" + "x" * 4_097) == (
        "invalid_request",
        "state has 4097 characters; at most 4096 are read.",
    )


def test_64_parameters_are_read_and_65_refused() -> None:
    many = [f"p{number}=v" for number in range(65)]
    assert len(Parameters.parse("&".join(many[:64])).values) == 64
    assert refusal(Parameters.parse, "&".join(many)) == (
        "invalid_request",
        "The request has more than 64 parameters.",
    )


def test_semicolon_does_not_separate_parameters() -> None:
    assert Parameters.parse("a=1;b=2").values == {"a": ("1;b=2",)}


@pytest.mark.parametrize("value", ["é", "\n", "\x7f", "\x1f", "a\r\nb", "\u200b", "a\n"], ids=ascii)
def test_visible_refuses_characters_outside_printable_ascii_by_name(value: str) -> None:
    parameters = Parameters.parse(encode([("state", value)]))
    expected = ("invalid_request", "state holds a character outside printable ASCII; send it without.")
    assert refusal(parameters.visible, "state") == expected
    assert refusal(parameters.require, "state") == expected
    assert parameters.get("state") == value


def test_visible_gives_none_where_the_parameter_is_missing() -> None:
    assert Parameters.parse("").visible("state") is None


def test_of_makes_parameters_and_leaves_blank_ones_out() -> None:
    assert Parameters.of(code="c", state="") == Parameters.parse("code=c&state=")


@given(st.text(min_size=12, max_size=30))
def test_repr_of_parameters_shows_neither_values_nor_names(secret: str) -> None:
    shown = repr(Parameters({"code": (secret,), secret: ("value",)}))
    assert shown == "Parameters()"


def test_encode_leaves_out_none_and_empty_values() -> None:
    assert encode([("a", "1"), ("b", None), ("c", ""), ("d", "0")]) == "a=1&d=0"


def test_encode_escapes_separators_and_encodes_utf8() -> None:
    assert encode([("x", " %&+£€"), ("y", "=#?")]) == "x=%20%25%26%2B%C2%A3%E2%82%AC&y=%3D%23%3F"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://a.example/cb", "https://a.example/cb?code=c%20d"),
        ("https://a.example/cb?", "https://a.example/cb?code=c%20d"),
        ("https://a.example/cb?tenant=%41", "https://a.example/cb?tenant=%41&code=c%20d"),
        ("https://a.example/cb?tenant=1&", "https://a.example/cb?tenant=1&code=c%20d"),
        ("https://a.example", "https://a.example?code=c%20d"),
        ("com.example.app:/cb", "com.example.app:/cb?code=c%20d"),
        ("http://[::1]:8000/cb?a", "http://[::1]:8000/cb?a&code=c%20d"),
    ],
)
def test_add_to_query_keeps_the_own_query_as_it_is(uri: str, expected: str) -> None:
    assert add_to_query(uri, [("code", "c d"), ("state", None)]) == expected


@pytest.mark.parametrize("uri", ["https://a.example/cb", "https://a.example/cb?", "https://a.example/cb?a=1"])
def test_add_to_query_leaves_the_uri_alone_where_nothing_is_added(uri: str) -> None:
    assert add_to_query(uri, [("state", None), ("iss", "")]) == uri


@given(pairs.filter(lambda values: "tenant" not in values))
def test_add_to_query_is_read_back_beside_the_own_query(values: dict[str, str]) -> None:
    url = add_to_query("https://a.example/cb?tenant=1", values.items())
    parsed = Parameters.parse(urlsplit(url).query)
    assert parsed.values == {"tenant": ("1",), **{name: (value,) for name, value in values.items()}}


@given(any_text)
def test_get_never_raises_for_any_name(name: str) -> None:
    assert Parameters.parse("a=1").get(name) == ("1" if name == "a" else None)
