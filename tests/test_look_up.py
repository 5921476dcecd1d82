"""The operating system's resolver, as slow and as broken as name servers make it, and never waited for too long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_pkce_auth import look_up as module
from django_pkce_auth.look_up import NotFound, TooSlow, look_up
from django_pkce_auth.transport import HttpTransport, TransportError

SILENT = "silent.example"


class Resolver:
    """In place of the operating system's: it does not answer for ``silent.example`` before the test ends."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.end = threading.Event()

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked[host] += 1
        if host.endswith(SILENT):
            self.end.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if host == "no.example":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", port))
        return [address, address]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    module._under_way.cache_clear()
    ours = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", ours)
    yield ours
    ours.end.set()
    for thread in threading.enumerate():
        if thread.daemon and "_answer" in thread.name:
            thread.join(5)
    module._under_way.cache_clear()


def soon(seconds: float = 0.2) -> float:
    return time.monotonic() + seconds


def test_addresses_come_once_each_in_their_order(resolver: Resolver) -> None:
    assert look_up("fast.example", 443, end=soon(5)) == ["192.0.2.7"]
    assert look_up("fast.example", 443, end=soon(5)) == ["192.0.2.7"]
    assert resolver.asked == {"fast.example": 2}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "2001:db8::1", "fe80::1%eth0"])
def test_address_is_not_looked_up(address: str, resolver: Resolver) -> None:
    assert look_up(address, 443, end=soon()) == [address]
    assert not resolver.asked


def test_name_that_does_not_exist_is_not_found(resolver: Resolver) -> None:
    with pytest.raises(NotFound, match="gaierror"):
        look_up("no.example", 443, end=soon(5))


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_name_that_can_not_be_one_is_not_found(host: str) -> None:
    with pytest.raises(NotFound):
        look_up(host, 443, end=soon(10))


def test_silent_resolver_is_left_at_the_deadline_by_all_who_wait(resolver: Resolver) -> None:
    def ask(_: int) -> float:
        started = time.monotonic()
        with pytest.raises(TooSlow):
            look_up(SILENT, 443, end=soon())
        return time.monotonic() - started

    with ThreadPoolExecutor(20) as executor:
        waited = list(executor.map(ask, range(20)))
    assert max(waited) < 5
    # They waited for one look-up, which is still under way.
    assert resolver.asked == {SILENT: 1}
    assert look_up("fast.example", 443, end=soon(5)) == ["192.0.2.7"]


def test_silent_names_are_not_more_than_a_limit_of_threads(resolver: Resolver) -> None:
    for number in range(module.MAX_UNDER_WAY):
        with pytest.raises(TooSlow):
            look_up(f"{number}.{SILENT}", 443, end=soon(0))
    with pytest.raises(TooSlow, match="Too many"):
        look_up(f"more.{SILENT}", 443, end=soon(5))
    wait_until(lambda: len(resolver.asked) == module.MAX_UNDER_WAY)
    resolver.end.set()
    wait_until(lambda: not module._under_way(os.getpid())._questions)
    assert look_up("fast.example", 443, end=soon(5)) == ["192.0.2.7"]


def test_machine_that_has_no_thread_left_is_too_slow(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(TooSlow):
            look_up("fast.example", 443, end=soon(5))
    assert look_up("fast.example", 443, end=soon(5)) == ["192.0.2.7"]


def wait_until(holds: Any) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("public_only", [False, True])
def test_request_to_a_silent_name_ends_at_the_deadline(public_only: bool, resolver: Resolver) -> None:
    started = time.monotonic()
    # On a busy machine the deadline may pass before the look-up begins, which has another name.
    with pytest.raises(TransportError, match=r"https://silent\.example did not answer: (Connect)?Timeout"):
        HttpTransport(deadline=0.3, public_only=public_only).request("GET", f"https://{SILENT}/token")
    assert time.monotonic() - started < 5


def test_process_ends_though_the_resolver_is_silent() -> None:
    program = """
import socket, time
socket.getaddrinfo = lambda *_, **__: time.sleep(300)
from django_pkce_auth.look_up import TooSlow, look_up
try:
    look_up("silent.example", 443, end=time.monotonic() + 0.1)
except TooSlow:
    print("too slow")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "too slow\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_asks_anew() -> None:
    program = """
import os, socket, time
from django_pkce_auth.look_up import TooSlow, look_up
socket.getaddrinfo = lambda *_, **__: time.sleep(5)
try:
    look_up("a.example", 443, end=time.monotonic() + 0.1)
except TooSlow:
    pass
if pid := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
socket.getaddrinfo = lambda *_, **__: [(2, 1, 6, "", ("192.0.2.7", 443))]
os._exit(0 if look_up("a.example", 443, end=time.monotonic() + 5) == ["192.0.2.7"] else 1)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=60, check=True)
