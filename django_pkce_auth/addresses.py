"""Issuer identifiers and loopback hosts, as settings name them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_URL_CHARACTERS = re.compile(r"[\x21-\x7e]+\Z")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def issuer_fault(issuer: str) -> str | None:
    """Return what is wrong with an issuer identifier (RFC 8414 §2), or None."""
    try:
        parts = urlsplit(issuer)
        usable = (
            parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
        ) and _URL_CHARACTERS.match(issuer)
    except ValueError:
        usable = False
    if not usable:
        return f"is {issuer!r}, which is no http(s) URL with a host"
    if "?" in issuer or "#" in issuer:
        return f"is {issuer!r}, which has a query or a fragment"
    if issuer.endswith("/"):
        return f"is {issuer!r}, which ends in a slash; issuers are compared character by character, so leave it out"
    return None


def is_loopback_url(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOOPBACK_HOSTS
    except ValueError:
        return False
