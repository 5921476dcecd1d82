"""Host names to addresses, within a deadline.

The resolver of the operating system takes no time-out: with a name server that does not answer it is silent for half a
minute. So it is asked on a thread, and whoever asks waits for the answer no longer than the deadline allows. Threads
that wait for the same name are one, and there is a limit to how many wait at all.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

MAX_UNDER_WAY = 64


class NotFound(Exception):
    """The name has no address; the text is that of the resolver's kind of error."""


class TooSlow(Exception):
    """The resolver did not answer before ``end``, or has too many names to look for already."""


def look_up(host: str, port: int, *, end: float) -> list[str]:
    """Return the addresses of ``host``; ``end`` is a moment of ``time.monotonic()``. Raises NotFound and TooSlow."""
    if _is_address(host):
        return [host]
    return _under_way(os.getpid()).wait(host, port, end)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class _Question:
    done: threading.Event = field(default_factory=threading.Event)
    addresses: list[str] = field(default_factory=list)
    fault: str = "NoAddress"


class _UnderWay:
    """What this process is asking just now, each name once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._questions: dict[tuple[str, int], _Question] = {}

    def wait(self, host: str, port: int, end: float) -> list[str]:
        question = self._ask(host, port)
        if not question.done.wait(max(0.0, end - time.monotonic())):
            raise TooSlow("The name was not found in time.")
        if not question.addresses:
            raise NotFound(question.fault)
        return question.addresses

    def _ask(self, host: str, port: int) -> _Question:
        with self._lock:
            if (question := self._questions.get((host, port))) is not None:
                return question
            if len(self._questions) >= MAX_UNDER_WAY:
                raise TooSlow("Too many names are being looked up already.")
            question = self._questions[host, port] = _Question()
        # A daemon, so that a process can end while the resolver is still silent.
        thread = threading.Thread(target=self._answer, args=(question, host, port), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._end(question, host, port)
            raise TooSlow("This process can't start another thread.") from None
        return question

    def _answer(self, question: _Question, host: str, port: int) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            question.addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        except (OSError, UnicodeError) as error:
            question.fault = type(error).__name__
        finally:
            self._end(question, host, port)

    def _end(self, question: _Question, host: str, port: int) -> None:
        with self._lock:
            del self._questions[host, port]
        question.done.set()


@lru_cache(maxsize=1)
def _under_way(pid: int) -> _UnderWay:
    """Return this process's own; a forked child has another ``pid``, and none of its parent's threads."""
    return _UnderWay()
