"""Outgoing HTTP: one deadline, a size cap, no redirects, no cookies, and one pool of connections a process."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from . import __version__
from .addresses import is_loopback_url
from .protocol.parameters import encode

if TYPE_CHECKING:
    import httpcore2

DEADLINE_SECONDS = 5.0
MAX_ANSWER_BYTES = 1_048_576

_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+\Z")


class TransportError(Exception):
    """No usable answer came: nothing is known of what the other server did. Its text holds no secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` has at most 1 MiB, the names in ``headers`` are in lower case."""

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
    """The real one: https, or http to a loopback host; proxies of the environment are not used.

    ``deadline`` is in seconds and covers everything from the connection to the last byte of the answer. With
    ``public_only`` nothing but https to public addresses is reached: for addresses that somebody typed into a form.
    """

    def __init__(self, *, deadline: float = DEADLINE_SECONDS, public_only: bool = False) -> None:
        self.deadline = deadline
        self.public_only = public_only

    def guarded(self) -> HttpTransport:
        """Return one that is the same but for ``public_only``."""
        return HttpTransport(deadline=self.deadline, public_only=True)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Iterable[tuple[str, str | None]] | None = None,
    ) -> Answer:
        import httpcore2

        origin = checked_origin(url, public_only=self.public_only)
        sent = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"django-pkce-auth/{__version__}",
            **(headers or {}),
        }
        content = None
        if form is not None:
            content = encode(form).encode("ascii")
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            return self._send(method, url, sent, content)
        except httpcore2.ConnectError as error:
            # Nothing of ours was sent yet that its words could repeat.
            raise TransportError(f"{origin} did not answer: ConnectError: {error}") from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise TransportError(f"{origin} did not answer: {type(error).__name__}.") from None
        except _Unusable as error:
            raise TransportError(f"{origin} {error}") from None

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        end = time.monotonic() + self.deadline
        timeout = {"connect": end, "read": end, "write": end, "pool": self.deadline}
        pool = _pool(os.getpid(), self.public_only)
        with pool.stream(
            method, url, headers=list(headers.items()), content=content, extensions={"timeout": timeout}
        ) as response:
            answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            # Nothing is unpacked, so a small answer stays small.
            if answered.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
                raise _Unusable("sent a Content-Encoding, though it was asked for none.")
            body = bytearray()
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise _Unusable(f"sent more than {MAX_ANSWER_BYTES} bytes.")
            return Answer(response.status, bytes(body), answered)


class _Unusable(Exception):
    """Something came, and it is not read any further."""


@lru_cache(maxsize=2)
def _pool(pid: int, public_only: bool) -> httpcore2.ConnectionPool:
    """Return this process's pool; a forked child has another ``pid``, as sockets and locks must not be shared.

    The pool is httpcore2's, below httpx2's client: that client has a cookie jar, which would carry what one user's
    answer set into the next user's request, and its timeouts are for each read.
    """
    import httpcore2

    from .deadline import DeadlineBackend

    return httpcore2.ConnectionPool(
        ssl_context=httpcore2.default_ssl_context(),
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=5.0,
        network_backend=DeadlineBackend(public_only=public_only),
    )


def shown(url: str) -> str:
    """Return the address without what may be a secret in it: a name with a password, a query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def checked_origin(url: str, *, public_only: bool = False) -> str:
    """Return scheme, host and port of ``url``, which are safe to show; raises TransportError for what is not sent."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and bool(_URL.match(url))
    except ValueError:
        usable = False
    if not usable:
        raise TransportError("The address of the other server is no URL with a host (RFC 3986).")
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    is_local = parts.scheme == "http" and is_loopback_url(url) and not public_only
    if parts.scheme != "https" and not is_local:
        raise TransportError(f"{origin} is not https; tokens are sent over https only, or http to loopback.")
    return origin
