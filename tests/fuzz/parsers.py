"""Whatever arrives, each parser of ``protocol/`` gives a value or its documented refusal, in bounded time.

``python -m tests.fuzz.parsers --runs 1000000`` (tox run -e atheris) shares the executions among the targets; each runs
in a process of its own, as libFuzzer ends its process, guided by the branches that an input reaches. What fails is
printed with the input that did it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import atheris

with atheris.instrument_imports(include=["django_pkce_auth.protocol"]):
    from django_pkce_auth.protocol import (
        authentication_methods,
        authorization,
        bearer,
        client_authentication,
        device,
        introspection,
        metadata,
        parameters,
        pkce,
        redirect_uris,
        revocation,
        scopes,
        token,
    )
    from django_pkce_auth.protocol.errors import OAuthError, public_text
    from django_pkce_auth.protocol.jwt_access_token import access_token_claims

T = TypeVar("T")
MAX_INPUT_BYTES = 20_000
"""Longer than any message that is read, so that the limits themselves are met."""
SECONDS_AN_INPUT = 1.0
"""CPU time that the worst input may take, tracing included, which makes everything some ten times slower."""
ISSUER = "https://as.example"
PUBLIC = frozenset(chr(code) for code in range(0x20, 0x7F)) - {'"', "\\"}  # RFC 6749 §5.2
NAMES = ("client_id", "state", "code", "redirect_uri")
VISIBLE = frozenset(chr(code) for code in range(0x20, 0x7F))


def given(decode: Callable[..., T], *args: Any, **named: Any) -> T | None:
    """Return what ``decode`` gives, None where it refuses; any other exception ends the run."""
    try:
        return decode(*args, **named)
    except OAuthError as error:
        refusal = error
    assert refusal.error, "a refusal without a code"
    assert PUBLIC.issuperset(refusal.error + refusal.description), "a refusal that RFC 6749 does not allow"
    return None


def parsed(data: bytes) -> parameters.Parameters | None:
    read = given(parameters.Parameters.parse, data)
    if read is not None:
        assert len(read.values) <= parameters.MAX_PARAMETERS
        assert all(values and all(values) for values in read.values.values()), "an empty value is one left out"
        assert "\0" not in repr(dict(read.values))
    return read


def sent(pairs: token.Pairs) -> parameters.Parameters:
    return parameters.Parameters.parse(parameters.encode(pairs))


def as_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


# The targets: one a module, each from the bytes that arrive to what can be said of the result.


def form(data: bytes) -> None:
    read = parsed(data)
    if read is not None:
        pairs = [(name, value) for name, values in read.values.items() for value in values]
        encoded = parameters.encode(pairs)
        assert encoded.isascii()
        if len(encoded) <= parameters.MAX_MESSAGE_BYTES and all(name for name, _ in pairs):
            assert parameters.Parameters.parse(encoded).values == read.values
        for name in NAMES:
            given(read.visible, name)
            given(read.require, name)
    given(parameters.Parameters.parse, data.decode("latin-1"))
    given(parameters.Parameters.parse, data.decode("utf-8", "surrogateescape"))


def authorization_request(data: bytes) -> None:
    read = parsed(data)
    request = read and given(authorization.AuthorizationRequest.decode, read)
    if request:
        assert request.code_challenge is not None
        assert len(request.code_challenge) == 43
        url = request.encode(f"{ISSUER}/authorize?kept=1")
        query = url.removeprefix(f"{ISSUER}/authorize?kept=1&")
        assert url.isascii()
        if len(query) <= parameters.MAX_MESSAGE_BYTES:
            assert authorization.AuthorizationRequest.decode(parameters.Parameters.parse(query)) == request


def authorization_response(data: bytes) -> None:
    read = parsed(data)
    response = read and given(authorization.decode_response, read)
    if response:
        where, _, query = response.encode("https://app.example/callback").partition("?")
        assert where == "https://app.example/callback"
        if len(query) <= parameters.MAX_MESSAGE_BYTES:
            assert authorization.decode_response(parameters.Parameters.parse(query)) == response
        if isinstance(response, authorization.AuthorizationErrorResponse):
            assert PUBLIC.issuperset(response.error + (response.error_description or "") + (response.error_uri or ""))


def form_requests(data: bytes) -> None:
    """Every request that is a form at a client endpoint."""
    read = parsed(data)
    if read is None:
        return
    kinds: list[Any] = [
        token.AuthorizationCodeTokenRequest,
        token.RefreshTokenRequest,
        token.ClientCredentialsTokenRequest,
        device.DeviceAuthorizationRequest,
        device.DeviceTokenRequest,
        introspection.IntrospectionRequest,
        revocation.RevocationRequest,
    ]
    for kind in kinds:
        request = given(kind.decode, read)
        encoded = "" if request is None else parameters.encode(request.encode())
        if request is not None and len(encoded) <= parameters.MAX_MESSAGE_BYTES:
            assert kind.decode(parameters.Parameters.parse(encoded)) == request


def client_credentials(data: bytes) -> None:
    header, _, body = data.partition(b"\n")
    read = parsed(body) or parameters.Parameters.of()
    for text in (header.decode("latin-1"), header.decode("utf-8", "surrogateescape"), None):
        credentials = given(client_authentication.ClientCredentials.decode, text, read)
        if credentials is None:
            continue
        readings = [(credentials.client_id, credentials.client_secret or ""), *credentials.alternatives]
        assert all(VISIBLE.issuperset(client_id + secret) for client_id, secret in readings)
        if credentials.method == authentication_methods.CLIENT_SECRET_BASIC:
            again = client_authentication.ClientCredentials.decode(credentials.header(), parameters.Parameters.of())
        else:
            again = client_authentication.ClientCredentials.decode(None, sent(credentials.parameters()))
            assert again.method == credentials.method
        assert (again.client_id, again.client_secret) == (credentials.client_id, credentials.client_secret)


def bearer_header(data: bytes) -> None:
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        raw = given(bearer.decode, text)
        if raw is not None:
            assert raw.isascii()
            assert raw.strip() == raw != ""
            assert bearer.decode(bearer.encode(raw)) == raw
        shown = public_text(text)
        assert PUBLIC.issuperset(shown)
        assert bearer.challenge(OAuthError("invalid_token", shown)).isprintable()


def scope(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    read = given(scopes.parse_scope, text)
    if read is not None:
        assert len(read) == len(set(read)) <= scopes.MAX_SCOPES
        assert all(scopes.is_scope_token(name) for name in read)
        assert scopes.parse_scope(scopes.format_scope(read)) == read


def proof_key(data: bytes) -> None:
    verifier, _, method = data.decode("latin-1").partition("\n")
    checked = given(pkce.check_verifier, verifier)
    if checked is not None:
        challenge = pkce.check_challenge(pkce.code_challenge(checked), "S256")
        pkce.verify(checked, challenge)
        assert given(pkce.verify, checked + "x", challenge) is None
    challenge = given(pkce.check_challenge, verifier, method)
    if challenge is not None:
        given(pkce.verify, "v" * 43, challenge)


def redirect_uri(data: bytes) -> None:
    registered, _, requested = data.decode("utf-8", "surrogateescape").partition("\n")
    why = redirect_uris.problem(registered)
    matches = redirect_uris.matches(registered, requested)
    told = redirect_uris.explain_mismatch([registered], requested)
    assert told.isascii()
    assert told.isprintable()
    redirect_uris.host_of(requested)
    redirect_uris.is_loopback(requested)
    if why is not None:
        assert why.isprintable()
        return
    parts = urlsplit(registered)
    assert registered.isascii()
    assert registered.isprintable()
    assert not parts.fragment
    assert redirect_uris.matches(registered, registered)
    assert redirect_uris.host_of(registered)
    if matches and registered != requested:
        theirs = urlsplit(requested)
        assert redirect_uris.is_loopback(registered)
        assert (parts.hostname, parts.path, parts.query) == (theirs.hostname, theirs.path, theirs.query)
        assert parts.scheme == theirs.scheme == "http"


def json_answers(data: bytes) -> None:
    """What another server answers: parsed JSON of any shape."""
    members = as_json(data)
    kinds: list[Any] = [
        token.TokenResponse,
        introspection.IntrospectionResponse,
        device.DeviceAuthorizationResponse,
    ]
    for kind in kinds:
        response = given(kind.decode, members)
        if response is not None:
            json.dumps(response.encode(), allow_nan=False)
            again = kind.decode(response.encode())
            assert again == response or isinstance(response, introspection.IntrospectionResponse), (again, response)
    error = token.decode_error(members)
    assert PUBLIC.issuperset(error.error + error.description)
    assert token.decode_error(token.encode_error(error)).args == error.args or not error.error


def server_metadata(data: bytes) -> None:
    document = as_json(data)
    if isinstance(document, dict):
        document = {"issuer": ISSUER, **document}
    read = given(metadata.ServerMetadata.decode, document, issuer=ISSUER)
    if read is not None:
        assert read.issuer == ISSUER
        assert all(not url or url.startswith(("https://", "http://")) for _, url in read.endpoints())
        published = metadata.server_document(ISSUER, endpoints={name: url for name, url in read.endpoints() if url})
        assert metadata.ServerMetadata.decode(published, issuer=ISSUER).endpoints() == read.endpoints()


def user_code(data: bytes) -> None:
    code = device.read_user_code(data.decode("utf-8", "surrogateescape"))
    if code is not None:
        assert len(code) == device.USER_CODE_LENGTH
        assert set(code) <= set(device.USER_CODE_LETTERS)
        assert device.read_user_code(device.show_user_code(code)) == code


def jwt_claims(data: bytes) -> None:
    """The claims that this server signs, of what a request brought, read as another server's answer."""
    read = parsed(data)
    granted = read and given(scopes.parse_scope, read.get("scope"))
    if read is None or granted is None:
        return
    audience = read.all("resource") or (ISSUER,)
    claims = access_token_claims(
        issuer=ISSUER,
        subject=read.get("subject"),
        client_id=read.get("client_id") or "app",
        audience=audience,
        scopes=granted,
        token_id="id",
        issued_at=1,
        expires_at=2,
    )
    told = introspection.IntrospectionResponse.decode({**json.loads(json.dumps(claims)), "active": True})
    assert (told.scopes, told.audience, told.exp, told.iss) == (granted, audience, 2, ISSUER)
    assert told.sub == (read.get("subject") or told.client_id)


FORM = (
    b"response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&scope=read+write&state=af0&"
    b"code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&resource=https%3A%2F%2Fa&"
    b"resource=https%3A%2F%2Fb&prompt=login%20consent&max_age=60&login_hint=%C3%A9"
)
TOKEN_FORM = (
    b"grant_type=authorization_code&code=pkce_ac_x&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&"
    b"refresh_token=pkce_rt_x&device_code=pkce_dc_x&token=pkce_at_x&token_type_hint=access_token&scope=read"
)
ANSWERS = (
    b'{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "refresh_token": "r", "scope": "a b"}',
    b'{"error": "invalid_grant", "error_description": "no"}',
    b'{"active": true, "client_id": "c", "sub": "1", "aud": ["x"], "exp": 2, "iat": 1.5, "scope": "a", "iss": "i"}',
    b'{"device_code": "d", "user_code": "u", "verification_uri": "https://a", "expires_in": 9, "interval": 5}',
)
METADATA = b'{"authorization_endpoint": "https://a/b", "token_endpoint": "https://a/c", "jwks_uri": "http://a/d"}'
TARGETS: Mapping[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "parameters": (form, (FORM, TOKEN_FORM, b"a=%00", b"a=%ff", b"a=1&a=2", b"%4", b"=&&=")),
    "authorization request": (authorization_request, (FORM,)),
    "authorization response": (
        authorization_response,
        (b"code=c&state=s&iss=https%3A%2F%2Fas.example", b"error=access_denied&error_description=no&state=s"),
    ),
    "token, device, introspection and revocation requests": (form_requests, (TOKEN_FORM,)),
    "client authentication": (
        client_credentials,
        (b"Basic YXBwOnNlY3JldA==", b"Basic YSUyQmI6YyUzQWQ=", b"\nclient_id=app&client_secret=secret"),
    ),
    "bearer": (bearer_header, (b"Bearer abc.DEF-123_~+/==", b"bearer  x", b"DPoP x")),
    "scopes": (scope, (b"read write read", b"photos:read  x")),
    "pkce": (proof_key, (b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\nS256",)),
    "redirect URIs": (
        redirect_uri,
        (
            b"https://app.example/callback?kept=1\nhttps://app.example/callback/",
            b"http://127.0.0.1:8000/cb\nhttp://127.0.0.1:51234/cb",
            b"http://[::1]/cb\nhttp://[::1]:9/cb",
            b"com.example.app:/callback\nhttps://[",
        ),
    ),
    "token, introspection and device answers": (json_answers, ANSWERS),
    "metadata": (server_metadata, (METADATA,)),
    "user code": (user_code, (b"WDJB-MJHT", b"wdjb mjht")),
    "JWT claims": (jwt_claims, (FORM + b"&subject=1",)),
}
WORDS = sorted(
    {word for data in (FORM, TOKEN_FORM, *ANSWERS, METADATA) for word in data.replace(b'"', b"&").split(b"&")}
)


def fuzz(name: str, runs: int, directory: Path) -> None:
    """Run one target in this process, which ends with it."""
    target, seeds = TARGETS[name]
    corpus, dictionary = directory / "corpus", directory / "words"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS)
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    slowest = 0.0

    def one(data: bytes) -> None:
        nonlocal slowest
        begun = time.thread_time()
        target(data)
        taken = time.thread_time() - begun
        if taken > slowest:
            slowest = taken
            (directory / "slowest").write_text(f"{slowest:.4f} s for {len(data)} bytes")
        assert taken < SECONDS_AN_INPUT, f"{taken:.2f} s"

    limits = [f"-max_len={MAX_INPUT_BYTES}", "-len_control=20", "-timeout=30", "-rss_limit_mb=2048"]
    options = [f"-runs={runs}", f"-dict={dictionary}", *limits]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={directory}/", str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions in all, shared among the targets")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    if options.target:
        fuzz(options.target, options.runs, options.directory)
    failed = []
    for name in TARGETS:
        share = options.runs // len(TARGETS)
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "tests.fuzz.parsers", "--target", name, "--directory", scratch]
            begun = time.monotonic()
            done = subprocess.run([*command, "--runs", str(share)], capture_output=True, text=True, check=False)
            slowest = (Path(scratch) / "slowest").read_text()
            print(
                f"{name}: {share:,} executions in {time.monotonic() - begun:.0f} s, the slowest {slowest}", flush=True
            )
            if done.returncode:
                print(done.stdout, done.stderr, sep="\n")
                failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "Each input gave a value or a documented refusal.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
