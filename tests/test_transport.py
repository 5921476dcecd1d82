"""Outgoing HTTP against real sockets on loopback: servers that are slow, greedy or broken."""

from __future__ import annotations

import gzip
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from types import SimpleNamespace

import pytest

from django_pkce_auth import deadline, transport
from django_pkce_auth.transport import MAX_ANSWER_BYTES, Answer, HttpTransport, TransportError, shown
from tests.socket_server import Behaviour, Server, answer, drips, sends

DEADLINE = 1.0
LATE = 10.0  # what a busy machine may add


def refusal(url: str, *, deadline: float = 30, form: list[tuple[str, str | None]] | None = None) -> str:
    with pytest.raises(TransportError) as caught:
        HttpTransport(deadline=deadline).request("POST" if form else "GET", url, form=form)
    return str(caught.value)


def test_answer_holds_status_body_and_headers(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b'{"a": 1}', b"X-Thing: Yes", status=b"400 Bad Request")))
    got = HttpTransport().request("GET", server.url)
    assert (got.status, got.json(), got.headers["x-thing"]) == (400, {"a": 1}, "Yes")


def test_request_is_form_encoded_and_asks_for_nothing_packed(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b"{}")))
    form = [("grant_type", "x y"), ("left_out", None), ("code", "a&b=c")]
    HttpTransport().request("POST", server.url, headers={"Authorization": "Bearer t"}, form=form)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert head.startswith(b"POST /token HTTP/1.1\r\n")
    assert body == b"grant_type=x%20y&code=a%26b%3Dc"
    for line in (
        b"accept-encoding: identity",
        b"accept: application/json",
        b"authorization: bearer t",
        b"content-type: application/x-www-form-urlencoded",
        b"host: 127.0.0.1:%d" % server.port,
    ):
        assert line in lines


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda connection: connection.recv(1),
        drips(b"", b"H"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X"),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"{"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["silent", "status line", "headers", "body", "chunks", "interim answers", "body without length"],
)
def test_deadline_is_over_the_whole_request(behaviour: Behaviour, serve: Callable[[Behaviour], Server]) -> None:
    server = serve(behaviour)
    started = time.monotonic()
    assert "Timeout" in refusal(server.url, deadline=DEADLINE)
    assert DEADLINE - 0.05 < time.monotonic() - started < DEADLINE + LATE


def test_deadline_holds_while_the_server_accepts_nothing() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
        started = time.monotonic()
        assert "Timeout" in refusal(f"http://127.0.0.1:{listener.getsockname()[1]}/", deadline=DEADLINE)
        assert time.monotonic() - started < DEADLINE + LATE
        for connection in waiting:
            connection.close()


def test_deadline_holds_over_the_tls_handshake(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(lambda connection: None)
    started = time.monotonic()
    assert "Timeout" in refusal(server.url.replace("http:", "https:"), deadline=DEADLINE)
    assert time.monotonic() - started < DEADLINE + LATE


def test_deadline_is_for_each_request_anew(
    serve: Callable[[Behaviour], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(sends(answer(b"{}")))
    for hours in range(3):
        clock = SimpleNamespace(monotonic=lambda hours=hours: time.monotonic() + hours * 3600)
        monkeypatch.setattr(transport, "time", clock)
        monkeypatch.setattr(deadline, "time", clock)
        assert HttpTransport().request("GET", server.url).status == 200
    assert server.accepted == 1


def test_connections_are_kept_for_the_next_request_and_dead_ones_replaced(
    serve: Callable[[Behaviour], Server],
) -> None:
    closed = Event()

    def answers_once(connection: socket.socket) -> None:
        sends(answer(b"{}"), close=True)(connection)
        closed.set()

    server = serve(answers_once)
    for _ in range(3):
        closed.clear()
        assert HttpTransport().request("GET", server.url).status == 200
        assert closed.wait(30)
    assert server.accepted == 3


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_body_above_one_mebibyte_is_cut_off(head: bytes, serve: Callable[[Behaviour], Server]) -> None:
    piece = b"x" * 65536
    if b"chunked" in head:
        piece = b"10000\r\n" + piece + b"\r\n"
    server = serve(sends(head, *[piece] * 200))
    assert f"more than {MAX_ANSWER_BYTES} bytes" in refusal(server.url)


def test_body_of_one_mebibyte_is_read(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b"x" * MAX_ANSWER_BYTES)))
    assert len(HttpTransport().request("GET", server.url).body) == MAX_ANSWER_BYTES


def test_endless_headers_are_refused(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(b"HTTP/1.1 200 OK\r\n", *[b"X-Long: " + b"x" * 1000 + b"\r\n"] * 2000))
    assert "did not answer: RemoteProtocolError" in refusal(server.url)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Again", b"308 Moved"])
def test_redirect_is_not_followed(status: bytes, serve: Callable[[Behaviour], Server]) -> None:
    other = serve(sends(answer(b"{}")))
    server = serve(sends(answer(b"", b"Location: " + other.url.encode(), status=status)))
    got = HttpTransport().request("POST", server.url, form=[("code", "secret")])
    assert got.status == int(status[:3])
    assert not other.requests


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP", b"deflate", b"br", b"zstd", b"gzip, identity", b"x"])
def test_packed_answer_is_refused_and_never_unpacked(encoding: bytes, serve: Callable[[Behaviour], Server]) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    server = serve(sends(answer(bomb, b"Content-Encoding: " + encoding)))
    assert "Content-Encoding" in refusal(server.url)


def test_answer_that_says_identity_is_read(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b"{}", b"Content-Encoding: identity")))
    assert HttpTransport().request("GET", server.url).json() == {}


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",),
        (b"HTTP/1.1 200 OK\r\nContent-Le",),
        (b"",),
        (b"SSH-2.0-OpenSSH\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}",),
    ],
)
def test_answer_that_ends_early_or_is_no_http_is_no_answer(
    pieces: tuple[bytes, ...], serve: Callable[[Behaviour], Server]
) -> None:
    server = serve(sends(*pieces, close=True))
    assert "did not answer" in refusal(server.url)


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        said = refusal(f"http://127.0.0.1:{port}/")
    assert said.startswith(f"http://127.0.0.1:{port} did not answer: ConnectError: ")
    assert "refused" in said


def test_addresses_of_a_host_are_tried_in_turn(serve: Callable[[Behaviour], Server]) -> None:
    # localhost is ::1 first on many machines, where this server is not.
    server = serve(sends(answer(b"{}")))
    assert HttpTransport().request("GET", server.url.replace("127.0.0.1", "localhost")).status == 200


def test_unknown_host_is_no_answer() -> None:
    assert "did not answer: Connect" in refusal("https://nobody.invalid/")


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.example/token",
        "http://10.0.0.1/token",
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "http://evil.example\\@localhost/",
        "http://127.0.0.2/",
        "http://[::2]/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "HTTP://acme.example/",
    ],
)
def test_anything_but_https_or_loopback_is_not_sent(url: str) -> None:
    text = refusal(url)
    assert "is not https" in text or "no URL with a host" in text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "//acme.example/",
        "https://[acme/",
        "https://acme.example:99999/",
        "https://a\r\nb/",
        "https://ä/",
    ],
)
def test_what_is_no_url_is_refused_as_such(url: str) -> None:
    assert refusal(url).startswith(("The address", "https", "://"))


def test_error_text_holds_no_secret(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(b"", close=True))
    url = f"http://user:password@127.0.0.1:{server.port}/path-secret?token=query-secret#fragment-secret"
    for text in (
        refusal(url, form=[("code", "form-secret")]),
        refusal("http://user:password@acme.example/path-secret?token=query-secret"),
        refusal("https://user:password@[acme.example/path-secret?token=query-secret"),
    ):
        assert "secret" not in text
        assert "password" not in text


def test_error_carries_no_chain_of_causes_with_the_request_in_it(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(b"", close=True))
    with pytest.raises(TransportError) as caught:
        HttpTransport().request("GET", server.url)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_cookies_of_one_answer_are_in_no_later_request(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b"{}", b"Set-Cookie: session=of-another-user; Path=/")))
    for _ in range(2):
        HttpTransport().request("GET", server.url)
    assert not any(b"cookie" in request.lower() for request in server.requests)


def test_proxies_of_the_environment_are_not_used(
    serve: Callable[[Behaviour], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(sends(answer(b"{}"))), serve(sends(answer(b"{}")))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    HttpTransport().request("GET", server.url)
    assert not proxy.requests


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_makes_connections_of_its_own(serve: Callable[[Behaviour], Server]) -> None:
    server = serve(sends(answer(b"{}")))
    HttpTransport().request("GET", server.url)
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            status = 0 if HttpTransport().request("GET", server.url).status == 200 else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.accepted == 2
    assert HttpTransport().request("GET", server.url).status == 200
    assert server.accepted == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_body_that_is_not_json_is_read_as_none(body: bytes) -> None:
    assert Answer(200, body).json() is None


def test_repr_of_an_answer_shows_no_token() -> None:
    assert "secret" not in repr(Answer(200, b"secret", {"x": "secret"}))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://acme.example/oauth/token", "https://acme.example/oauth/token"),
        ("https://me:secret@acme.example:8443/token?key=secret#secret", "https://acme.example:8443/token"),
        ("https://secret@[2001:db8::1]/", "https://[2001:db8::1]/"),
        ("http://a@secret@127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_address_is_shown_without_what_may_be_secret(url: str, said: str) -> None:
    assert shown(url) == said
