"""Requests that are nearly right: a good one of each endpoint, bent a few times at random places."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote_plus

from django_pkce_auth.protocol.device import DEVICE_CODE
from tests.four_steps import REDIRECT_URI, VERIFIER

Pairs = list[tuple[str, str]]
FORM = "application/x-www-form-urlencoded"
BROWSERS = ["alice", "alice", "bob", "nobody"]
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"]
NAMES = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code",
    "code_challenge",
    "prompt",
    "max_age",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "refresh_token",
    "resource",
    "iss",
    "error",
    "token",
    "token_type_hint",
    "user_code",
    "device_code",
    "decision",
    "shown",
    "next",
    "popup",
    "connection",
    "provider",
    "disconnect",
    "revoke",
    "username",
    "request",
    "request_uri",
]
NASTY = [
    "",
    " ",
    "\0",
    "a\0b",
    "%00",
    "é",
    "\U0001d538" * 20,
    "\u202e\u2028",
    "a" * 300,
    "b" * 5000,
    "-1",
    "0",
    "9" * 30,
    "١٢٣",
    "null",
    "[]",
    "{}",
    "true",
    "NaN",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "{{ 7 }}",
    "../../etc/passwd",
    "javascript:alert(1)",
    "//evil.example/",
    "https://evil.example/callback",
    "http://127.0.0.1:99999/",
    "http://[::1",
    "http://[/",
    "none login consent",
    "login",
    "none",
    "plain",
    "S256",
    "approve",
    "deny",
    "switch",
    "read write",
    "password",
    "refresh_token",
]
PIECES = [b"%", b"%f", b"%zz", b"%ff%fe", b"&&", b";", b"=", b"\xff", b"\0", b"+", b"%00", b"\r\n", b"&a=b" * 70]
TYPES = [
    "application/json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "",
    f"{FORM}; charset=utf-16",
    f"{FORM}; charset=none-such",
    f"{FORM};charset=utf-8",
    "\xff\xfe",
]
HEADERS: dict[str, list[str]] = {
    "HTTP_ORIGIN": ["https://app.example", "null", "https://evil.example", "\xff", "x" * 3000],
    "HTTP_HOST": ["testserver:99999", "evil.example", "testserver", "", "a b", "[::1"],
    "HTTP_ACCEPT": ["application/json", "*/*;q=nan", "\xff"],
    "HTTP_ACCEPT_LANGUAGE": ["de", "x-" * 600, "\xff", "en;q=x"],
    "HTTP_REFERER": ["https://evil.example/", "\xff", "https://testserver/oauth/device"],
    "HTTP_X_FORWARDED_FOR": ["1.2.3.4, 5.6.7.8", "x" * 900, "::1"],
    "HTTP_X_FORWARDED_PROTO": ["http"],
    "HTTP_X_HTTP_METHOD_OVERRIDE": ["DELETE"],
    "HTTP_IF_NONE_MATCH": ['"x"', "*", "\xff"],
    "HTTP_IF_MODIFIED_SINCE": ["Wed, 21 Oct 2015 07:28:00 GMT", "99999999999999999999"],
    "HTTP_RANGE": ["bytes=0-1"],
    "HTTP_COOKIE": ["sessionid=x; sessionid=y", "__Host-pkce_auth=" + "x" * 43, "=;=", "\xff=\xff", "a=b;" * 500],
    "HTTP_DPOP": ["eyJhbGciOiJub25lIn0.e30."],
    "HTTP_SEC_PURPOSE": ["prefetch"],
    "CONTENT_LENGTH": ["0", "-1", "x", "99999999999", "\u00b2", "1"],
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": ["POST", "\xff"],
}


@dataclass
class Pool:
    """What is good at the moment: codes, tokens and the like, by the parameter that takes them."""

    values: dict[str, list[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Whose each is: a client with its secret, or a browser."""

    def one(self, chance: random.Random, name: str) -> str:
        return chance.choice(self.values.get(name) or ["nothing-of-this-kind"])


@dataclass(frozen=True)
class Sent:
    """One request: who sends it, and all of it."""

    endpoint: str
    method: str
    path: str
    query: bytes
    body: bytes
    content_type: str
    headers: dict[str, str]
    browser: str
    values: frozenset[str]


Good = Callable[[random.Random, Pool], Pairs]


def _authorize(chance: random.Random, pool: Pool) -> Pairs:
    return [
        ("response_type", "code"),
        ("client_id", pool.one(chance, "client_id")),
        ("redirect_uri", REDIRECT_URI),
        ("scope", chance.choice(["read", "read write", "profile"])),
        ("state", "af0ifjsldkj"),
        ("code_challenge", pool.one(chance, "code_challenge")),
        ("code_challenge_method", "S256"),
    ]


def _token(chance: random.Random, pool: Pool) -> Pairs:
    match chance.randrange(5):
        case 0 | 1:
            more = [("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)]
            return [("grant_type", "authorization_code"), ("code", pool.one(chance, "code")), *more]
        case 2 | 3:
            return [("grant_type", "refresh_token"), ("refresh_token", pool.one(chance, "refresh_token"))]
        case _:
            return [("grant_type", DEVICE_CODE), ("device_code", pool.one(chance, "device_code"))]


def _some_token(chance: random.Random, pool: Pool) -> Pairs:
    return [("token", pool.one(chance, chance.choice(["access_token", "refresh_token"])))]


def _device(chance: random.Random, pool: Pool) -> Pairs:
    return [
        ("user_code", pool.one(chance, "user_code")),
        ("decision", chance.choice(["approve", "deny", "", "switch"])),
    ]


def _callback(chance: random.Random, pool: Pool) -> Pairs:
    return parse_qsl(pool.one(chance, "callback"))


def _start(chance: random.Random, pool: Pool) -> Pairs:
    return [("next", "/connect/"), ("scope", "profile"), ("connection", pool.one(chance, "connection"))]


def _nothing(chance: random.Random, pool: Pool) -> Pairs:
    return []


@dataclass(frozen=True)
class Endpoint:
    path: str
    methods: tuple[str, ...]
    good: Good = _nothing
    by_client: bool = False
    by_token: bool = False
    in_query: bool = False
    decision: bool = False


ENDPOINTS = {
    "authorize": Endpoint("/oauth/authorize", ("GET", "POST"), _authorize, in_query=True, decision=True),
    "token": Endpoint("/oauth/token", ("POST",), _token, by_client=True),
    "revoke": Endpoint("/oauth/revoke", ("POST",), _some_token, by_client=True),
    "introspect": Endpoint("/oauth/introspect", ("POST",), _some_token, by_client=True),
    "device_authorization": Endpoint(
        "/oauth/device_authorization", ("POST",), lambda chance, pool: [("scope", "read")], by_client=True
    ),
    "device": Endpoint("/oauth/device", ("GET", "POST"), _device),
    "device_qr": Endpoint(
        "/oauth/device/qr.svg", ("GET",), lambda chance, pool: [("user_code", pool.one(chance, "user_code"))]
    ),
    "apps": Endpoint(
        "/oauth/apps", ("GET", "POST"), lambda chance, pool: [("client_id", pool.one(chance, "client_id"))]
    ),
    "jwks": Endpoint("/oauth/jwks", ("GET",)),
    "metadata": Endpoint("/.well-known/oauth-authorization-server", ("GET",)),
    "resource_metadata": Endpoint("/.well-known/oauth-protected-resource", ("GET",)),
    "connections": Endpoint(
        "/connect/", ("GET", "POST"), lambda chance, pool: [("connection", pool.one(chance, "connection"))]
    ),
    "finished": Endpoint("/connect/finished", ("GET",), lambda chance, pool: [("popup", "p" * 16), ("next", "/")]),
    "connect": Endpoint("/connect/fake/", ("GET", "POST"), _start),
    "log_in": Endpoint("/connect/fake/login", ("GET", "POST"), _start),
    "callback": Endpoint("/connect/fake/callback", ("GET",), _callback),
    "api": Endpoint("/api/read", ("GET", "POST"), by_token=True),
    "api that writes": Endpoint("/api/write", ("GET", "POST"), by_token=True),
    "async api": Endpoint("/api/async", ("GET",), by_token=True),
}
"""By the names of the URL patterns, and the guarded views."""


def bent(chance: random.Random, text: str, pool: Pool) -> str:
    match chance.randrange(7):
        case 0:
            return text[: chance.randrange(len(text) + 1)]
        case 1:
            at = chance.randrange(len(text) + 1)
            return text[:at] + chance.choice(["x", "\0", " ", "é", "%", "=", "&"]) + text[at + 1 :]
        case 2:
            return text.swapcase()
        case 3:
            return f" {text}"
        case 4:
            return pool.one(chance, chance.choice(list(pool.values) or ["code"]))
        case _:
            return chance.choice(NASTY)


def bend(chance: random.Random, pairs: Pairs, pool: Pool, times: int) -> Pairs:
    """Leave parameters out, send them twice, add strangers, change values."""
    pairs = list(pairs)
    for _ in range(times):
        at = chance.randrange(len(pairs)) if pairs else 0
        match chance.randrange(6) if pairs else 5:
            case 0:
                del pairs[at]
            case 1:
                pairs.insert(chance.randrange(len(pairs) + 1), (pairs[at][0], bent(chance, pairs[at][1], pool)))
            case 2:
                pairs[at] = (bent(chance, pairs[at][0], pool), pairs[at][1])
            case 3 | 4:
                pairs[at] = (pairs[at][0], bent(chance, pairs[at][1], pool))
            case _:
                pairs.append((chance.choice(NAMES), bent(chance, "", pool)))
    return pairs


def encoded(chance: random.Random, pairs: Pairs, times: int) -> bytes:
    sent = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()
    if times and chance.random() < 0.1:
        at = chance.randrange(len(sent) + 1)
        sent = sent[:at] + chance.choice(PIECES) + sent[at + chance.randrange(4) :]
    return sent


def credentials(chance: random.Random, pool: Pool, pairs: Pairs, times: int) -> tuple[Pairs, dict[str, str]]:
    """Return how a client says who it is: by a header, in the form, or as one without a secret."""
    owners = [pool.owners[value] for _, value in pairs if ":" in pool.owners.get(value, "")]
    whose = owners[0] if owners and chance.random() < 0.8 else pool.one(chance, "client")
    client, _, secret = whose.partition(":")
    if times and chance.random() < 0.15:
        client, secret = bent(chance, client, pool), bent(chance, secret, pool)
    if not secret or chance.random() < 0.3:
        return [*pairs, ("client_id", client), *([("client_secret", secret)] if secret else [])], {}
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    scheme = chance.choice(["Basic", "basic", "Basic ", "Bearer"]) if times else "Basic"
    return pairs, {"HTTP_AUTHORIZATION": f"{scheme} {basic}"}


def draw(chance: random.Random, pool: Pool) -> Sent:
    """Return the next request; one in four is as it should be."""
    name = chance.choice(list(ENDPOINTS))
    endpoint = ENDPOINTS[name]
    times = chance.choice([0, 0, 1, 1, 1, 2, 3, 8])
    method = chance.choice(METHODS) if times and chance.random() < 0.2 else chance.choice(endpoint.methods)
    pairs = bend(chance, endpoint.good(chance, pool), pool, times)
    browsers = [pool.owners[value] for _, value in pairs if pool.owners.get(value) in BROWSERS]
    browser = browsers[0] if browsers else chance.choice(BROWSERS)
    headers: dict[str, str] = {}
    if endpoint.by_client and not (times and chance.random() < 0.05):
        pairs, headers = credentials(chance, pool, pairs, times)
    if endpoint.by_token:
        token = pool.one(chance, "access_token")
        headers["HTTP_AUTHORIZATION"] = "Bearer " + (bent(chance, token, pool) if times > 1 else token)
    in_query = endpoint.in_query or method != "POST" or (times > 2 and chance.random() < 0.2)
    first = encoded(chance, pairs, times)
    more: Pairs = (
        [("decision", chance.choice(["approve", "approve", "deny", "switch", "x"]))] if endpoint.decision else []
    )
    second = encoded(chance, bend(chance, more, pool, times // 2), times) if more or times > 2 else b""
    query, body = (first, second) if in_query else (second if times > 2 else b"", first)
    for _ in range(times):
        if chance.random() < 0.2:
            header = chance.choice(list(HEADERS))
            headers[header] = chance.choice(HEADERS[header])
    if not endpoint.by_client and headers.get("CONTENT_LENGTH") in ("x", "\u00b2"):
        del headers["CONTENT_LENGTH"]  # no server passes it on, and Django's own forms can't read it
    if times and chance.random() < 0.05:
        headers["HTTP_AUTHORIZATION"] = chance.choice(
            ["Bearer", "Basic", "Basic !!", "Bearer \xff", "x" * 9000, "", ","]
        )
    return Sent(
        name,
        method,
        endpoint.path + (chance.choice(["/", "x", "/../", "%00", "%ff", "//"]) if chance.random() < 0.03 else ""),
        query,
        body if method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND") else b"",
        chance.choice(TYPES) if times and chance.random() < 0.1 else FORM,
        {header: value.replace("\0", "").replace("\r", "").replace("\n", "") for header, value in headers.items()},
        browser,
        frozenset(value for _, value in pairs),
    )
