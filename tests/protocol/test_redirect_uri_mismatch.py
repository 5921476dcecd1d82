"""explain_mismatch: what a developer reads in the log when no registered redirect URI matches."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_pkce_auth.protocol.redirect_uris import explain_mismatch, matches

from .wire import any_text

APP = "https://app.example/cb"


@pytest.mark.parametrize(
    ("requested", "difference"),
    [
        ("http://app.example/cb", "they differ in the scheme"),
        ("https://app.example.evil.example/cb", "they differ in the host"),
        ("https://App.example/cb", "they differ in the host"),
        ("https://user@app.example/cb", "they differ in the host"),
        ("https://app.example:8443/cb", "they differ in the port"),
        ("https://app.example:443/cb", "they differ in the port"),
        ("https://app.example:/cb", "they differ in the port"),
        ("https://app.example/CB", "they differ in the path"),
        ("https://app.example/%63b", "they differ in the path"),
        ("https://app.example/cb//x", "they differ in the path"),
        ("https://app.example/cb/", "they differ in the trailing slash of the path"),
        ("https://app.example/cbX", "they differ in the path"),
        ("https://app.example/cb?a=b", "they differ in the query"),
        ("https://app.example/cb#a", "they differ in the fragment"),
        ("http://app.example:8443/other?a", "they differ in the scheme"),
        ("https://app.example:8443/other", "they differ in the port"),
        ("https://[app.example/cb", "one of them is not a URI"),
        (
            "HTTPS://app.example/cb",
            "they differ in the letter case of the scheme, a bare ? or #, or an invisible character",
        ),
        (
            "https://app.example/cb?",
            "they differ in the letter case of the scheme, a bare ? or #, or an invisible character",
        ),
    ],
)
def test_mismatch_names_the_first_part_that_differs(requested: str, difference: str) -> None:
    assert explain_mismatch([APP], requested) == (
        f"The request named {requested}, the nearest registered one is {APP}; {difference}."
    )


def test_mismatch_names_the_nearest_of_the_registered_uris() -> None:
    registered = ["https://other.example/start", "http://localhost:8000/cb", "https://staging.app.example/oauth/done"]
    assert explain_mismatch(registered, "http://localhost:9000/cb") == (
        "The request named http://localhost:9000/cb, the nearest registered one is http://localhost:8000/cb; "
        "they differ in the port, and that of localhost is fixed: register and use http://127.0.0.1/cb, which has "
        "whatever port the app has (RFC 8252 section 8.3)."
    )
    assert "is https://other.example/start; they differ in the path." in explain_mismatch(
        iter(registered), "https://other.example/begin"
    )


@pytest.mark.parametrize(
    ("registered", "advised"),
    [
        ("http://localhost/callback", "http://127.0.0.1/callback"),
        ("http://localhost:8000/callback?a=1", "http://127.0.0.1/callback?a=1"),
    ],
)
def test_mismatch_in_the_port_of_localhost_names_an_address_that_matches(registered: str, advised: str) -> None:
    requested = registered.replace(":8000", "").replace("localhost", "localhost:53211")
    assert not matches(registered, requested)
    assert f"that of localhost is fixed: register and use {advised}, " in explain_mismatch([registered], requested)
    assert matches(advised, requested.replace("localhost", "127.0.0.1"))


def test_mismatch_in_the_port_of_another_host_is_not_about_localhost() -> None:
    for registered in ("https://localhost/cb", "http://127.0.0.1/cb", "https://localhost.example/cb"):
        requested = registered.replace("/cb", ":70000/cb")
        assert explain_mismatch([registered], requested).endswith("they differ in the port.")


def test_mismatch_costs_hardly_more_where_many_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers send what is compared, and each full comparison takes a millisecond and more."""
    registered = [f"https://pr-{number}.preview.example/oauth/callback" for number in range(500)]
    ratio, compared = SequenceMatcher.ratio, []

    def counted(self: SequenceMatcher[str]) -> float:
        compared.append(self)
        return ratio(self)

    monkeypatch.setattr(SequenceMatcher, "ratio", counted)
    told = explain_mismatch(registered, "https://pr-321.preview.example/oauth/callback/")
    assert "is https://pr-321.preview.example/oauth/callback; " in told
    assert len(compared) <= 10


def test_mismatch_says_so_where_nothing_is_registered() -> None:
    assert explain_mismatch([], APP) == f"The client has no redirect URI registered; the request named {APP}."


def test_mismatch_shows_a_question_mark_for_each_odd_character() -> None:
    told = explain_mismatch([APP], "https://app.example/c b\r\nX: y\0\x1b[31m\u202eé\ud800")
    assert told.startswith("The request named https://app.example/c?b??X:?y??[31m???, the nearest")


def test_mismatch_shows_a_question_mark_where_a_registered_uri_is_odd() -> None:
    assert "is https://app.example/c?b; " in explain_mismatch(["https://app.example/c\nb"], APP)


def test_mismatch_by_an_invisible_character_says_so() -> None:
    told = explain_mismatch([APP], "https://app.example/c\nb")
    assert told.endswith("or an invisible character.")


def test_mismatch_repeats_at_most_300_characters_of_the_request() -> None:
    told = explain_mismatch([APP], "https://evil.example/" + "x" * 5_000)
    assert "x" * 279 + ", the nearest" in told
    assert "x" * 280 not in told


@given(st.lists(any_text, max_size=3), any_text)
def test_mismatch_is_one_printable_ascii_line_for_any_text(registered: list[str], requested: str) -> None:
    told = explain_mismatch(registered, requested)
    assert told.isascii()
    assert told.isprintable()
    assert told.endswith(".")


@pytest.mark.parametrize(
    ("registered", "requested", "difference"),
    [
        ("https://app.example/cb/", "https://app.example/cb", "they differ in the trailing slash of the path."),
        ("https://app.example/cbX", "https://app.example/cb", "they differ in the path."),
    ],
)
def test_mismatch_in_the_end_of_the_path_is_told_from_either_side(
    registered: str, requested: str, difference: str
) -> None:
    assert explain_mismatch([registered], requested).endswith(difference)
