"""Calling a provider's API as the user: an ``httpx2`` client that carries the connection's token and keeps it valid."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2
from asgiref.sync import sync_to_async
from django.utils import timezone

from ..deadline import resolve
from ..protocol import bearer
from ..protocol.errors import OAuthError
from ..protocol.scopes import parse_scope
from ..provider_settings import ProviderSettings
from ..transport import DEADLINE_SECONDS, Transport, TransportError, checked_origin
from .errors import ConnectError
from .refresh import access_token, note_use

if TYPE_CHECKING:
    from .models import Connection

_INSUFFICIENT = re.compile(r'error\s*=\s*"?insufficient_scope\b', re.IGNORECASE)
_SCOPE = re.compile(r'\bscope\s*=\s*"([^"]*)"', re.IGNORECASE)


class InsufficientScope(ConnectError):
    """The API wants more than the user allowed; ``missing`` are the scopes to ask for (RFC 6750 §3.1)."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(f"The API needs scopes that the connection does not have: {' '.join(missing) or 'not said'}.")
        self.missing = missing


class ForeignOrigin(ConnectError):
    """The request would have carried the token to another site than the provider's API."""


class ConnectionAuth(httpx2.Auth):
    """Sets the bearer token for requests to ``origin`` only, and replaces a token that the API refuses, once."""

    def __init__(self, connection: Connection, *, origin: str, transport: Transport | None = None) -> None:
        self.connection = connection
        self.origin = origin
        self.transport = transport

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        response = yield self._carrying(request)
        if response.status_code == 401:
            response = yield self._carrying(request, again=True)
        self._check_scope(response)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        response = yield await sync_to_async(self._carrying)(request)
        if response.status_code == 401:
            response = yield await sync_to_async(self._carrying)(request, again=True)
        self._check_scope(response)

    def _carrying(self, request: httpx2.Request, *, again: bool = False) -> httpx2.Request:
        """Return the request with a valid token; ``again`` with another one than it has.

        No variable holds the token, as reports of errors show those.
        """
        if _origin(request.url) != self.origin:
            raise ForeignOrigin(f"The connection's token is for {self.origin} and is not sent anywhere else.")
        now = timezone.now()
        request.headers["Authorization"] = bearer.encode(
            access_token(
                self.connection,
                transport=self.transport,
                now=now,
                rejected=request.headers["Authorization"].removeprefix(bearer.encode("")) if again else "",
            )
        )
        note_use(self.connection, now=now)
        return request

    def _check_scope(self, response: httpx2.Response) -> None:
        challenge = response.headers.get("WWW-Authenticate", "")
        if response.status_code == 403 and _INSUFFICIENT.search(challenge):
            wanted = _SCOPE.search(challenge)
            try:
                scopes = parse_scope(wanted[1]) if wanted else ()
            except OAuthError:
                scopes = ()
            raise InsufficientScope(tuple(scope for scope in scopes if scope not in self.connection.scopes))


def _origin(url: httpx2.URL) -> str:
    """Return where a request goes, as the library that sends it reads the address: two readings could differ."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


class PublicOnly(httpx2.HTTPTransport):
    """Connects to public addresses only, for a provider that was entered in the admin."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        addresses = _public_addresses(request)
        for address in addresses[:-1]:
            with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return super().handle_request(_at(address, request))
        return super().handle_request(_at(addresses[-1], request))


class AsyncPublicOnly(httpx2.AsyncHTTPTransport):
    """``PublicOnly`` for ``async with``."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        addresses = await sync_to_async(_public_addresses, thread_sensitive=False)(request)
        for address in addresses[:-1]:
            with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return await super().handle_async_request(_at(address, request))
        return await super().handle_async_request(_at(addresses[-1], request))


def _public_addresses(request: httpx2.Request) -> list[str]:
    url = request.url
    try:
        if url.scheme != "https":
            raise httpcore2.ConnectError("The address is not https.")
        seconds = request.extensions.get("timeout", {}).get("connect")
        end = time.monotonic() + (DEADLINE_SECONDS if seconds is None else seconds)
        return resolve(_host(url), url.port or 443, public_only=True, end=end)
    except httpcore2.ConnectTimeout as error:
        raise httpx2.ConnectTimeout(str(error), request=request) from None
    except httpcore2.ConnectError as error:
        raise httpx2.ConnectError(str(error), request=request) from None


def _at(address: str, request: httpx2.Request) -> httpx2.Request:
    """Return the request with its host pinned to ``address``; Host header and certificate stay the host's own."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": _host(request.url)},
    )


def _host(url: httpx2.URL) -> str:
    """Return the host's name as the DNS knows it: for others Python's rules of 2003 lead to other names (ß is ss)."""
    return url.raw_host.decode("ascii")


def client_options(
    connection: Connection, entry: ProviderSettings | None, *, transport: Transport | None
) -> dict[str, Any]:
    """Return what both kinds of client are made with: no redirects, and no proxies of the environment."""
    base_url = entry.api_base_url if entry else ""
    if entry is None or not base_url:
        raise ConnectError(
            f"The provider {connection.provider} has no 'api_base_url' in PKCE_AUTH['PROVIDERS']; "
            "the token is sent to that origin only."
        )
    try:
        checked_origin(base_url, public_only=entry.from_admin)
    except TransportError as error:
        raise ConnectError(str(error)) from None
    return {
        "base_url": base_url,
        "auth": ConnectionAuth(connection, origin=_origin(httpx2.URL(base_url)), transport=transport),
        "follow_redirects": False,
        "trust_env": False,
    }
