"""Outgoing HTTP: a deadline, a size cap, no redirects, and one pooled client a process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from . import __version__
from .conf import is_loopback_url
from .protocol.parameters import encode

if TYPE_CHECKING:
    import httpx2

DEADLINE_SECONDS = 5.0
MAX_ANSWER_BYTES = 1_048_576


class TransportError(Exception):
    """No usable answer came: nothing is known of what the other server did. Its text holds no secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` has at most 1 MiB."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """Return the parsed body, or None where it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Transport(Protocol):
    """How the client side reaches other servers. Tests and in-process set-ups give their own."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        """Send one request; raises TransportError."""


class HttpTransport:
    """The real one, by httpx2: https, or http to a loopback host; proxies of the environment are not used."""

    def __init__(self, *, deadline: float = DEADLINE_SECONDS) -> None:
        self.deadline = deadline

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        import httpx2

        _check_scheme(url)
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        content = None
        if form is not None:
            content = encode(form).encode("ascii")
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            return self._send(method, url, sent, content)
        except httpx2.HTTPError as error:
            raise TransportError(f"{_origin(url)} did not answer: {type(error).__name__}.") from None

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        end = time.monotonic() + self.deadline
        body = bytearray()
        with _client().stream(method, url, headers=dict(headers), content=content, timeout=self.deadline) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise TransportError(f"{_origin(url)} sent more than {MAX_ANSWER_BYTES} bytes.")
                if time.monotonic() > end:
                    raise TransportError(f"{_origin(url)} was not done after {self.deadline:g} seconds.")
            return Answer(response.status_code, bytes(body), dict(response.headers))


_clients: dict[int, httpx2.Client] = {}


def _client() -> httpx2.Client:
    """Return this process's client; a forked child makes its own, as sockets must not be shared."""
    import httpx2

    pid = os.getpid()
    if pid not in _clients:
        _clients.clear()
        agent = {"User-Agent": f"django-pkce-auth/{__version__}"}
        _clients[pid] = httpx2.Client(follow_redirects=False, trust_env=False, headers=agent)
    return _clients[pid]


def _check_scheme(url: str) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and is_loopback_url(url)):
        raise TransportError(f"{_origin(url)} is not https; tokens are sent over https only, or http to loopback.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
