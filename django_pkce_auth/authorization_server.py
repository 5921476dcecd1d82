"""``PKCE_AUTH["AUTHORIZATION_SERVER"]``: whose tokens the guards accept, where another project issues them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from .addresses import is_loopback_url, issuer_fault

JWKS, INTROSPECTION = "jwks", "introspection"
KEYS: Mapping[str, str] = {
    "issuer": "Required: the authorization server's own name; its endpoints are found by it.",
    "verification": "Required: `jwks` (signed tokens, checked here) or `introspection` (it is asked about each).",
    "client_id": "What it calls this project; needed for introspection.",
    "client_secret": "The secret to it.",
    "audience": "Another `aud` that is accepted for this project, beside `ISSUER`.",
    "user": "Dotted path to a function: the token's claims → a user of this project, or None. Default: nobody.",
    "cache_seconds": "How long an introspection answer is kept, in seconds. Default 10; 0 asks for every request.",
    "jwks_url": "Where its keys are; in place of published metadata.",
    "introspection_url": "Its introspection endpoint; in place of published metadata.",
}
MAX_CACHE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """Another project that issues the tokens which the guards here accept."""

    issuer: str
    verification: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    audience: str = ""
    user: str = ""
    cache_seconds: float = 10
    jwks_url: str = ""
    introspection_url: str = ""


def parse_authorization_server(entry: object) -> AuthorizationServer:
    """Read the setting; raises ImproperlyConfigured."""
    where = "PKCE_AUTH['AUTHORIZATION_SERVER']"
    if not isinstance(entry, Mapping):
        raise ImproperlyConfigured(f"{where} is no dict.")
    if unknown := sorted(str(key) for key in entry if key not in KEYS):
        raise ImproperlyConfigured(f"{where} has the unknown key {unknown[0]!r}; known are {', '.join(KEYS)}.")
    for key in KEYS:
        if key != "cache_seconds" and not isinstance(entry.get(key, ""), str):
            raise ImproperlyConfigured(f"{where}[{key!r}] is a {type(entry[key]).__name__}, not a string.")
    # Other servers may have a slash at the end of their names, which is then part of it.
    if not entry.get("issuer") or (fault := issuer_fault(entry["issuer"].removesuffix("/"))):
        raise ImproperlyConfigured(f"{where}['issuer'] {fault if entry.get('issuer') else 'is missing'}.")
    for key in ("issuer", "jwks_url", "introspection_url"):
        _check_url(f"{where}[{key!r}]", entry.get(key, ""))
    _check_verification(where, entry)
    return AuthorizationServer(**entry)


def _check_verification(where: str, entry: Mapping[str, Any]) -> None:
    verification = entry.get("verification")
    if verification not in (JWKS, INTROSPECTION):
        raise ImproperlyConfigured(f"{where}['verification'] is {verification!r}; it takes 'jwks' or 'introspection'.")
    if verification == INTROSPECTION and not (entry.get("client_id") and entry.get("client_secret")):
        raise ImproperlyConfigured(
            f"{where} needs 'client_id' and 'client_secret': the server tells only those it knows."
        )
    seconds = entry.get("cache_seconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_CACHE_SECONDS:
        raise ImproperlyConfigured(
            f"{where}['cache_seconds'] is {seconds!r}; it takes 0 to {MAX_CACHE_SECONDS} seconds, as a token that was "
            "revoked works here for that long."
        )


def _check_url(where: str, url: str) -> None:
    try:
        is_https = not url or (urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname))
    except ValueError:
        is_https = False
    if not is_https and not (url.startswith("http://") and is_loopback_url(url)):
        raise ImproperlyConfigured(f"{where} is {url!r}; use https:// (http:// is accepted for loopback hosts only).")
