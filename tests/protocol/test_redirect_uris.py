from __future__ import annotations

import pytest
from hypothesis import given

from django_pkce_auth.protocol.redirect_uris import host_of, is_claimed_https, is_loopback, matches, problem

from .wire import any_text

# The beginning of the sentence that a person reads, by rule.
LENGTH = "A redirect URI has 1 to 2000 characters; this one has "
CHARACTERS = "A redirect URI may hold only the ASCII characters of RFC 3986; percent-encode all others, % as %25."
FRAGMENT = "A redirect URI must not have a fragment (the part behind #); remove it (RFC 6749 section 3.1.2)."
WILDCARD = "Wildcards are not supported, as they let others catch codes; register each redirect URI by itself."
SCHEME = "A redirect URI is absolute and begins with a scheme in lower case, such as https://."
NO_DOT = (
    "A private-use scheme must be a domain name that you control, in reverse order, so it has a dot: "
    "com.example.app:/callback (RFC 8252 section 7.1). For the web use https://."
)
BRACKETS = "This is not a URI: square brackets belong around an IPv6 address (RFC 3986 section 3.2.2)."
NO_PATH = "A redirect URI needs a path behind its scheme."
NO_HOST = "This is not a URL with a host: https://app.example/callback is the form."
USERINFO = "A redirect URI must not hold a user name or password before its host; remove the part up to @."
HOST = "The host must be a domain name in lower-case ASCII (punycode for others) without a trailing dot."
PORT = "The port must be a number from 1 to 65535, or be left out together with its colon."
DOTS = "The path must not hold the segments . and .., as browsers resolve them; write the resolved path."
HTTP = "http:// is accepted for loopback (127.0.0.1, [::1], localhost) only; use https://."
ADDRESS = "Browsers take this host for an IP address; write its four numbers, each from 0 to 255."

ACCEPTED = [
    "https://app.example/callback",
    "https://app.example",
    "https://app.example/",
    "https://app.example/cb?tenant=1&next=%2Fhome",
    "https://app.example?tenant=1",
    "https://app.example/cb?",
    "https://app.example:8443/cb",
    "https://app.example:443/cb",
    "https://app.example:65535/cb",
    "https://app.example:1/cb",
    "https://xn--bcher-kva.example/cb",
    "https://a-b.c-d.example/cb",
    "https://intranet/cb",
    "https://192.0.2.1/cb",
    "https://[2001:db8::1]/cb",
    "https://[2001:db8::1]:8443/cb",
    "https://app.example/CaseMatters",
    "https://app.example/a%2Fb",
    "https://app.example/a%2F..%2Fb",
    "https://app.example/a..b/.well-known/...",
    "https://app.example/user@host",
    "https://app.example/cb?mail=a@b.example",
    "https://app.example/a//b",
    "https://app.example/cb;v=1",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:8000/cb",
    "http://[::1]/cb",
    "http://[::1]:8000/cb",
    "http://localhost/cb",
    "http://localhost:8000/cb",
    "com.example.app:/callback",
    "com.example.app://callback",
    "com.example.app:callback",
    "com.example.app:/",
    "com.googleusercontent.apps.123-abc:/oauth2redirect",
    "https://app.example/" + "x" * 1_980,
]

REFUSED = [
    ("", LENGTH + "0."),
    ("https://app.example/" + "x" * 1_981, LENGTH + "2001."),
    # Characters
    ("https://app.example/c b", CHARACTERS),
    ("https://app.example/cb\n", CHARACTERS),
    ("https://app.example/cb\0", CHARACTERS),
    ("\thttps://app.example/cb", CHARACTERS),
    ("https://app.example/c\r\nb", CHARACTERS),
    ("https://app.example\\@evil.example/cb", CHARACTERS),
    ("https://bücher.example/cb", CHARACTERS),
    ("https://app.example/ü", CHARACTERS),
    ("https://\uff41pp.example/cb", CHARACTERS),
    ("https://app.example\u3002evil.example/cb", CHARACTERS),
    ("https://app.example/\ud800", CHARACTERS),
    ('https://app.example/"', CHARACTERS),
    ("https://app.example/<b>", CHARACTERS),
    ("https://app.example/{id}", CHARACTERS),
    ("https://app.example/%", CHARACTERS),
    ("https://app.example/%2", CHARACTERS),
    ("https://app.example/%zz", CHARACTERS),
    # Fragment and wildcards
    ("https://app.example/cb#", FRAGMENT),
    ("https://app.example/cb#token", FRAGMENT),
    ("com.example.app:/cb#x", FRAGMENT),
    ("https://*.example/cb", WILDCARD),
    ("https://app.example/*", WILDCARD),
    ("https://app.example:*/cb", WILDCARD),
    ("http://127.0.0.1:*/cb", WILDCARD),
    ("*", WILDCARD),
    # Scheme
    ("/callback", SCHEME),
    ("//app.example/cb", SCHEME),
    ("app.example/cb", SCHEME),
    ("HTTPS://app.example/cb", SCHEME),
    ("Https://app.example/cb", SCHEME),
    ("Com.example.app:/cb", SCHEME),
    ("://app.example/cb", SCHEME),
    ("1com.example:/cb", SCHEME),
    ("javascript:alert(1)", NO_DOT),
    ("javascript://app.example/%0aalert(1)", NO_DOT),
    ("data:text/html,hello", NO_DOT),
    ("vbscript:x", NO_DOT),
    ("file:///etc/passwd", NO_DOT),
    ("blob:https://app.example/1", NO_DOT),
    ("about:blank", NO_DOT),
    ("ftp://app.example/cb", NO_DOT),
    ("ws://app.example/cb", NO_DOT),
    ("myapp://callback", NO_DOT),
    ("urn:ietf:wg:oauth:2.0:oob", NO_DOT),
    ("localhost:8000/cb", NO_DOT),
    ("com.example.app:", NO_PATH),
    ("com.example.app://[", BRACKETS),
    ("com.example.app://a]/cb", BRACKETS),
    # Authority
    ("https:app.example/cb", NO_HOST),
    ("https:/app.example/cb", NO_HOST),
    ("https://[::1/cb", NO_HOST),
    ("https://app.example]/cb", NO_HOST),
    ("https://user@app.example/cb", USERINFO),
    ("https://user:pass@app.example/cb", USERINFO),
    ("https://app.example@evil.example/cb", USERINFO),
    ("https://app.example:443@evil.example/cb", USERINFO),
    ("https://@app.example/cb", USERINFO),
    ("http://127.0.0.1:80@evil.example/cb", USERINFO),
    ("https:///cb", HOST),
    ("https://", HOST),
    ("https://?a=b", HOST),
    ("https://:443/cb", HOST),
    ("https://App.example/cb", HOST),
    ("https://app.EXAMPLE/cb", HOST),
    ("https://app.example./cb", HOST),
    ("https://.app.example/cb", HOST),
    ("https://app..example/cb", HOST),
    ("https://-app.example/cb", HOST),
    ("https://app-.example/cb", HOST),
    ("https://app_1.example/cb", HOST),
    ("https://app%2eexample/cb", HOST),
    ("https://[2001:DB8::1]/cb", HOST),
    ("https://[::1%25eth0]/cb", HOST),
    ("https://a:b:443/cb", HOST),
    ("https://app.example:/cb", PORT),
    ("https://app.example:0/cb", PORT),
    ("https://app.example:0443/cb", PORT),
    ("https://app.example:65536/cb", PORT),
    ("https://app.example:99999/cb", PORT),
    ("https://app.example:123456/cb", PORT),
    ("https://app.example:-1/cb", PORT),
    ("https://app.example:http/cb", PORT),
    ("https://app.example/a/../cb", DOTS),
    ("https://app.example/./cb", DOTS),
    ("https://app.example/..", DOTS),
    ("https://app.example/%2e%2e/cb", DOTS),
    ("https://app.example/.%2E/cb", DOTS),
    ("https://app.example/%2e/cb", DOTS),
    ("https://app.example/%2e./cb", DOTS),
    # http beyond loopback
    ("http://app.example/cb", HTTP),
    ("http://127.0.0.2/cb", HTTP),
    ("http://127.1/cb", HTTP),
    ("http://0.0.0.0/cb", HTTP),
    ("http://2130706433/cb", HTTP),
    ("http://127.0.0.1.evil.example/cb", HTTP),
    ("http://localhost.evil.example/cb", HTTP),
    ("http://evil-localhost/cb", HTTP),
    ("http://[::2]/cb", HTTP),
    ("http://[0:0:0:0:0:0:0:1]/cb", HTTP),
    ("http://[::ffff:127.0.0.1]/cb", HTTP),
    ("http://localhost./cb", HOST),
    ("http://LOCALHOST/cb", HOST),
    # 127.0.0.1 as browsers read it, and what looks like an address and is none
    ("https://127.1/cb", ADDRESS),
    ("https://2130706433/cb", ADDRESS),
    ("https://0x7f000001/cb", ADDRESS),
    ("https://127.0.0.0x1/cb", ADDRESS),
    ("https://0127.0.0.1/cb", ADDRESS),
    ("https://app.256/cb", ADDRESS),
]

APP = "https://app.example/cb"
LOOP4 = "http://127.0.0.1:8000/cb"
LOOP6 = "http://[::1]:8000/cb"

MATCHING = [
    (APP, APP),
    ("https://app.example/cb?tenant=1", "https://app.example/cb?tenant=1"),
    ("com.example.app:/cb", "com.example.app:/cb"),
    ("http://localhost:8000/cb", "http://localhost:8000/cb"),
    (LOOP4, LOOP4),
    (LOOP4, "http://127.0.0.1:49152/cb"),
    (LOOP4, "http://127.0.0.1/cb"),
    (LOOP4, "http://127.0.0.1:65535/cb"),
    ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb"),
    ("http://127.0.0.1/cb?a=b", "http://127.0.0.1:9/cb?a=b"),
    ("http://127.0.0.1", "http://127.0.0.1:9"),
    (LOOP6, "http://[::1]:49152/cb"),
    (LOOP6, "http://[::1]/cb"),
]

DIFFERENT = [
    (APP, ""),
    (APP, "https://app.example/cb/"),
    (APP, "https://app.example/CB"),
    (APP, "https://app.example/cb?"),
    (APP, "https://app.example/cb#"),
    (APP, "https://app.example/cb?code=x"),
    (APP, "https://app.example/cb/../cb"),
    (APP, "https://app.example/%63b"),
    (APP, "https://app.example/cb%2F"),
    (APP, "https://app.example//cb"),
    (APP, "https://APP.example/cb"),
    (APP, "HTTPS://app.example/cb"),
    (APP, "http://app.example/cb"),
    (APP, "https://app.example:443/cb"),
    (APP, "https://app.example:8443/cb"),
    (APP, "https://app.example./cb"),
    (APP, "https://user@app.example/cb"),
    (APP, "https://app.example@evil.example/cb"),
    (APP, "https://app.example.evil.example/cb"),
    (APP, "https://evilapp.example/cb"),
    (APP, "https://sub.app.example/cb"),
    (APP, "https://app.example/cb\n"),
    (APP, "https://app.example/cb\0"),
    (APP, " https://app.example/cb"),
    (APP, "https://evil.example/?https://app.example/cb"),
    ("https://bücher.example/cb", "https://xn--bcher-kva.example/cb"),
    ("com.example.app:/cb", "com.example.app://cb"),
    ("com.example.app:/cb", "com.example.app:8000/cb"),
    # The port of loopback literals varies, nothing else does (RFC 8252 §7.3) …
    (LOOP4, "https://127.0.0.1:8000/cb"),
    (LOOP4, "http://127.0.0.1:9/other"),
    (LOOP4, "http://127.0.0.1:9/cb/"),
    (LOOP4, "http://127.0.0.1:9/cb?a=b"),
    (LOOP4, "http://127.0.0.1:9"),
    (LOOP4, "http://127.0.0.1:9/cb#"),
    (LOOP4, "http://127.0.0.1:9/cb\n"),
    (LOOP4, "http://127.0.0.1:0/cb"),
    (LOOP4, "http://127.0.0.1:09/cb"),
    (LOOP4, "http://127.0.0.1:65536/cb"),
    (LOOP4, "http://127.0.0.1:/cb"),
    (LOOP4, "http://127.0.0.1:\u0661/cb"),
    (LOOP4, "http://127.0.0.1:9@evil.example/cb"),
    (LOOP4, "http://user@127.0.0.1:9/cb"),
    (LOOP4, "http://127.0.0.1.evil.example:9/cb"),
    (LOOP4, "http://127.0.0.2:8000/cb"),
    (LOOP4, LOOP6),
    (LOOP4, "http://localhost:8000/cb"),
    (LOOP6, "http://[::2]:8000/cb"),
    (LOOP6, "http://[0:0:0:0:0:0:0:1]:8000/cb"),
    (LOOP6, "http://[::1]evil.example/cb"),
    # … and neither that of localhost nor that of https.
    ("http://localhost:8000/cb", "http://localhost:9000/cb"),
    ("http://localhost/cb", "http://localhost:8000/cb"),
    ("http://localhost:8000/cb", "http://127.0.0.1:8000/cb"),
    ("https://127.0.0.1:8000/cb", "https://127.0.0.1:9000/cb"),
    ("http://127.0.0.1:8000/c\nb", "http://127.0.0.1:9000/c\nb"),
    ("http://127.0.0.1:8000/%zz", "http://127.0.0.1:9000/%zz"),
]


@pytest.mark.parametrize("uri", ACCEPTED, ids=lambda uri: ascii(uri[:60]))
def test_redirect_uri_of_a_safe_form_can_be_registered(uri: str) -> None:
    assert problem(uri) is None


@pytest.mark.parametrize(("uri", "told"), REFUSED, ids=lambda text: ascii(text[:60]))
def test_redirect_uri_of_an_unsafe_form_is_refused_with_its_reason(uri: str, told: str) -> None:
    assert problem(uri) == told


@given(any_text | any_text.map("https://{}".format) | any_text.map("http://127.0.0.1{}".format))
def test_problem_is_none_or_a_sentence_for_any_text(uri: str) -> None:
    told = problem(uri)
    assert told is None or (told.endswith(".") and told.isprintable())
    assert isinstance(is_loopback(uri), bool)
    assert isinstance(host_of(uri), str)


@pytest.mark.parametrize(("registered", "requested"), MATCHING)
def test_request_matches_the_same_uri_or_a_loopback_literal_of_other_port(registered: str, requested: str) -> None:
    assert matches(registered, requested)


@pytest.mark.parametrize(("registered", "requested"), DIFFERENT, ids=ascii)
def test_request_does_not_match_a_uri_that_differs(registered: str, requested: str) -> None:
    assert not matches(registered, requested)


@given(any_text, any_text)
def test_matches_is_string_equality_away_from_loopback(registered: str, requested: str) -> None:
    assert matches(f"https://{registered}", f"https://{requested}") == (registered == requested)


@given(any_text)
def test_loopback_match_never_leaves_the_loopback_literal(rest: str) -> None:
    requested = f"http://127.0.0.1{rest}"
    if matches(LOOP4, requested):
        assert requested == "http://127.0.0.1/cb" or rest.removesuffix("/cb").removeprefix(":").isdigit()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (LOOP4, True),
        (LOOP6, True),
        ("http://localhost/cb", True),
        ("https://localhost/cb", True),
        ("https://127.0.0.1:8443/cb", True),
        ("https://127.0.0.2/cb", True),
        ("https://[::1]/cb", True),
        ("https://app.localhost/cb", True),
        ("https://[0:0:0:0:0:0:0:1]:8443/cb", True),
        ("https://[::ffff:127.0.0.1]/cb", True),
        ("https://0.0.0.0/cb", True),
        ("https://[::]/cb", True),
        ("https://[2001:db8::1]/cb", False),
        ("https://192.0.2.1/cb", False),
        ("http://127.0.0.1.evil.example/cb", False),
        ("https://127.0.0.1.evil.example/cb", False),
        ("https://notlocalhost/cb", False),
        ("http://app.example/cb", False),
        ("com.example.app:/cb", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_is_loopback_is_true_for_the_own_machine(uri: str, expected: bool) -> None:
    assert is_loopback(uri) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (APP, True),
        (LOOP4, False),
        ("com.example.app:/cb", False),
        ("https:app.example", False),
        ("https://localhost:8443/cb", False),
        ("https://[::1", False),
    ],
)
def test_is_claimed_https_is_true_for_https_to_the_host_of_somebody(uri: str, expected: bool) -> None:
    assert is_claimed_https(uri) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (APP, "app.example"),
        ("https://app.example:8443/cb?host=evil.example", "app.example:8443"),
        (LOOP6, "[::1]:8000"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://bank.example/cb", "com.example.app:"),
        ("http://[::1", ""),
    ],
)
def test_host_of_is_the_place_that_the_code_goes_to(uri: str, expected: str) -> None:
    assert host_of(uri) == expected


def test_fragment_matches_nothing_at_another_port_whatever_is_stored() -> None:
    assert not matches("http://127.0.0.1/cb#x", "http://127.0.0.1:8000/cb#x")
