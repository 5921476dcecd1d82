"""Sockets that keep one deadline over a whole request.

An HTTP library's timeout is for each read, so a server that sends a byte a second is never late. Here the "timeout"
that travels with a request is the moment of ``time.monotonic()`` at which all of it must be done: each step gets what
is left, the look-up of the host's name too.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore2

from .look_up import NotFound, TooSlow, look_up

if TYPE_CHECKING:
    import ssl


class DeadlineBackend(httpcore2.NetworkBackend):
    """What ``httpcore2.ConnectionPool`` makes its sockets with; every ``timeout`` is a moment, None is not accepted."""

    def __init__(self, *, public_only: bool = False) -> None:
        self._backend = httpcore2.SyncBackend()
        self._public_only = public_only

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Try the host's addresses in turn, each with its share of what is left; raises httpcore2's errors."""
        addresses = resolve(host, port, public_only=self._public_only, end=time.monotonic() + _left(timeout))
        for waiting in range(len(addresses), 0, -1):
            try:
                stream = self._backend.connect_tcp(
                    addresses[-waiting], port, _left(timeout) / waiting, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if waiting == 1:
                    raise
            else:
                return _DeadlineStream(stream)
        raise httpcore2.ConnectError("The host has no address.")


class _DeadlineStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def is_public(address: str) -> bool:
    """True for an address of the Internet; False for private, loopback, link-local, multicast and reserved ones.

    Addresses that carry an IPv4 one inside (mapped, 6to4, Teredo, NAT64) are judged by that one too.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, ip.teredo and ip.teredo[1]]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(found is not None and not _is_global(found) for found in inner):
            return False
        if ip.ipv4_mapped is not None or ip in _NAT64:
            return True
        # Python takes all for public that is not registered as something else: site-local addresses, and other forms
        # that carry an IPv4 one, such as a network's own NAT64 (RFC 8215).
        return ip in _UNICAST and _is_global(ip)
    return _is_global(ip)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that has been given out to the Internet (RFC 4291 §2.4, IANA)."""


def _is_global(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast


def resolve(host: str, port: int, *, public_only: bool, end: float) -> list[str]:
    """Return the host's addresses, to connect to these and to nothing that a second look-up could give.

    Raises httpcore2's ConnectError where it has none, or one that is not public though ``public_only`` asks for that,
    and its ConnectTimeout where they are not known at ``end``, a moment of ``time.monotonic()``.
    """
    try:
        addresses = look_up(host, port, end=end)
    except NotFound as error:
        raise httpcore2.ConnectError(str(error)) from None
    except TooSlow as error:
        raise httpcore2.ConnectTimeout(str(error)) from None
    if public_only and not all(is_public(address) for address in addresses):
        raise httpcore2.ConnectError("The host has an address that is not public.")
    return addresses


def _left(end: float | None) -> float:
    left = (end or 0) - time.monotonic()
    if left <= 0:
        raise httpcore2.TimeoutException("The deadline has passed.")
    return left
