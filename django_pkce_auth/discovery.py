"""What other servers publish of themselves, fetched and kept for its HTTP lifetime in this process (RFC 8414)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .addresses import is_loopback_url
from .protocol.errors import INVALID_REQUEST, OAuthError
from .protocol.metadata import ServerMetadata, well_known_urls
from .transport import Answer, Transport, TransportError

USUAL_SECONDS = 3600
MIN_SECONDS, MAX_SECONDS = 60, 86_400
RETRY_SECONDS = 30
"""How long a server whose document could not be read, or was read just now, is left alone."""
WAIT_SECONDS, RENEWAL_WAIT_SECONDS = 6.0, 1.0
"""How long others wait for the one that asks: longer than an answer may take; less, where they only hope for news."""

T = TypeVar("T")


class Unpublished(Exception):
    """A document can't be had. Its text holds no secret."""


@dataclass(slots=True)
class _Document:
    """What one server published, and until when (``time.monotonic()``) it is not asked again."""

    value: Any
    until: float
    asked_at: float
    ends: float = 0
    """When its HTTP lifetime was over (``time.monotonic()``), whatever is made of it since."""
    fault: str = ""


_UNANSWERED = "It was asked, and has not answered yet."
_documents: dict[tuple[object, ...], _Document] = {}
_asking: dict[tuple[object, ...], Lock] = {}


def keep(
    key: tuple[object, ...], fetch: Callable[[], tuple[T, float]], *, renew: bool = False, stale: float = float("inf")
) -> T:
    """Return what ``fetch`` gave, kept for as many seconds as it says; raises Unpublished.

    While fetching fails the old document serves, for up to ``stale`` seconds more, and a dead server costs one visitor
    a wait and not all. ``renew`` asks before the time is over, though not again within ``RETRY_SECONDS``. One thread
    asks; the others take what is there, and wait for it where nothing is, or where they need what is new.
    """
    kept = _documents.get(key)
    if kept is None or _is_due(kept, renew):
        kept = _fetch_alone(key, fetch, renew=renew)
    if kept.value is None or time.monotonic() >= kept.ends + stale:
        raise Unpublished(kept.fault or _UNANSWERED)
    value: T = kept.value
    return value


def _is_due(kept: _Document, renew: bool) -> bool:
    now = time.monotonic()
    return now >= kept.until or (renew and now - kept.asked_at >= RETRY_SECONDS)


def _fetch_alone(key: tuple[object, ...], fetch: Callable[[], tuple[Any, float]], *, renew: bool) -> _Document:
    # A lock of this process: one that a fork copied while it was held would never be free.
    asking = _asking.setdefault((os.getpid(), *key), Lock())
    kept = _documents.get(key)
    serves = kept is not None and kept.value is not None
    wait = (RENEWAL_WAIT_SECONDS if renew else 0) if serves else WAIT_SECONDS
    if not asking.acquire(timeout=wait):
        if kept is None or renew:
            raise Unpublished(_UNANSWERED)
        return kept
    try:
        kept = _documents.get(key)
        if kept is None or _is_due(kept, renew):
            kept = _documents[key] = _fetch(fetch, kept)
        return kept
    finally:
        asking.release()


def _fetch(fetch: Callable[[], tuple[Any, float]], kept: _Document | None) -> _Document:
    try:
        value, seconds = fetch()
    except (Unpublished, TransportError) as error:
        now = time.monotonic()
        old = kept or _Document(None, now, now)
        return _Document(old.value, now + RETRY_SECONDS, now, old.ends, str(error))
    now = time.monotonic()
    return _Document(value, now + seconds, now, now + seconds)


def server_metadata(issuer: str, *, transport: Transport, apart: bool = False) -> ServerMetadata:
    """Return the issuer's metadata; raises Unpublished.

    ``apart`` keeps what was fetched under other rules, such as an issuer that somebody typed into a form.
    """

    def fetch() -> tuple[ServerMetadata, float]:
        for url in well_known_urls(issuer):
            answer = transport.request("GET", url)
            document = answer.json() if answer.status == 200 else None
            # Many a site answers any address with 200 and its home page.
            if isinstance(document, dict):
                try:
                    return _checked(ServerMetadata.decode(document, issuer=issuer)), lifetime(answer)
                except OAuthError as error:
                    raise Unpublished(f"{issuer}: {error.description} {error.detail}".rstrip()) from None
        raise Unpublished(f"{issuer} publishes no metadata; name the addresses of its endpoints in the settings.")

    return keep(("metadata", issuer, apart), fetch)


_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})")
_AGE = re.compile(r"\d{1,9}\Z", re.ASCII)


def lifetime(answer: Answer) -> float:
    """Return the seconds that an answer may still be kept (RFC 9111 §4.2, §5.2.2.1), within a minute and a day."""
    said = _MAX_AGE.search(answer.headers.get("cache-control", "").lower())
    # A cache on the way, such as a CDN, has kept it for this long already (§5.1).
    spent = _AGE.match(answer.headers.get("age", ""))
    left = (int(said[1]) if said else USUAL_SECONDS) - (int(spent[0]) if spent else 0)
    return min(max(left, MIN_SECONDS), MAX_SECONDS)


def _checked(metadata: ServerMetadata) -> ServerMetadata:
    """Hold a document's addresses to what settings may name; raises OAuthError.

    A server of the Internet can't send our requests, with a client secret in them, to a service on this host.
    """
    local = is_loopback_url(metadata.issuer)
    for name, url in metadata.endpoints():
        if url and not (_ADDRESS.match(url) and (local or not _is_local(url))):
            raise OAuthError(INVALID_REQUEST, f"The server's metadata has no usable {name}.")
    return metadata


_ADDRESS = re.compile(r"https?://[\x21-\x7e]+\Z")


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).scheme != "https" or is_loopback_url(url)
    except ValueError:
        return True
