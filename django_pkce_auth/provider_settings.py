"""An entry of ``PKCE_AUTH["PROVIDERS"]``, or a row of the admin, as frozen typed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from .addresses import is_loopback_url
from .flags import flag
from .presets import PRESETS
from .protocol.authentication_methods import AUTHENTICATION_METHODS
from .protocol.scopes import is_scope_token

PROVIDER_KEYS: Mapping[str, str] = {
    "client_id": "Required: what the provider calls this project.",
    "client_secret": "What the provider gave with it; none for a public client.",
    "issuer": "The provider's own name, compared with `iss`; alone it is enough where metadata is published.",
    "authorize_url": "Where the user is sent; with `token_url` in place of published metadata.",
    "token_url": "Where codes and refresh tokens are exchanged.",
    "revoke_url": "Where tokens are revoked when the user disconnects.",
    "userinfo_url": "Says which account it is; needed to log in.",
    "api_base_url": "Where the provider's API begins.",
    "scopes": "The scopes to ask for: a list, or a dict of scope → words for people.",
    "preset": "A well-known service whose addresses are filled in; see `django_pkce_auth.presets`.",
    "name": "What people read. Default: the slug in words.",
    "client_authentication": "`client_secret_basic` or `client_secret_post`. Default: by the metadata, else basic.",
    "login": "True lets visitors log in through an account. Default False.",
    "create_users": "True lets a first log-in make a user. Default False.",
    "rejects_pkce": "True only for a provider that is known to refuse requests with PKCE.",
    "extra_authorize_parameters": "A dict of the provider's own parameters for the authorization URL.",
}
_PROVIDER_TEXTS = (
    "name",
    "issuer",
    "authorize_url",
    "token_url",
    "revoke_url",
    "userinfo_url",
    "api_base_url",
    "client_id",
    "client_secret",
    "client_authentication",
)
_PROVIDER_FLAGS = ("login", "create_users", "rejects_pkce")


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One entry of ``PKCE_AUTH["PROVIDERS"]``: another authorization server that users connect to."""

    slug: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    name: str = ""
    issuer: str = ""
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    userinfo_url: str = ""
    api_base_url: str = ""
    client_authentication: str = ""
    scopes: tuple[str, ...] = ()
    scope_words: Mapping[str, Any] = field(default_factory=dict)
    login: bool = False
    create_users: bool = False
    rejects_pkce: bool = False
    extra_authorize_parameters: Mapping[str, str] = field(default_factory=dict)
    from_admin: bool = False
    """Typed into a form, so its servers are reached over https at public addresses only."""

    @property
    def display_name(self) -> str:
        """What people read: ``name``, or the slug in words."""
        return self.name or self.slug.replace("-", " ").replace("_", " ").title()


def parse_provider(slug: str, entry: object) -> ProviderSettings:
    where = f"PKCE_AUTH['PROVIDERS'][{slug!r}]"
    if not isinstance(slug, str) or not slug.replace("-", "").replace("_", "").isalnum() or not slug.isascii():
        raise ImproperlyConfigured(f"{where}: a provider's key is part of its URL; use a-z, 0-9, - and _.")
    if len(slug) > 64:
        raise ImproperlyConfigured(f"{where}: a provider's key has at most 64 characters.")
    if not isinstance(entry, Mapping):
        raise ImproperlyConfigured(f"{where} is no dict.")
    if unknown := sorted(str(key) for key in entry if key not in PROVIDER_KEYS):
        raise ImproperlyConfigured(
            f"{where} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(PROVIDER_KEYS))}."
        )
    entry = _with_preset(where, entry)
    for key in _PROVIDER_TEXTS:
        if not isinstance(entry.get(key) or "", str):
            raise ImproperlyConfigured(f"{where}[{key!r}] is a {type(entry[key]).__name__}, not a string.")
    if not entry.get("client_id"):
        raise ImproperlyConfigured(f"{where} has no 'client_id'; the provider gave you one at registration.")
    if not entry.get("issuer") and not (entry.get("authorize_url") and entry.get("token_url")):
        raise ImproperlyConfigured(f"{where} needs 'issuer', or 'authorize_url' and 'token_url'.")
    for key in _PROVIDER_TEXTS:
        if key == "issuer" or key.endswith("_url"):
            _check_provider_url(f"{where}[{key!r}]", entry.get(key) or "")
    method = entry.get("client_authentication") or ""
    if method and method not in AUTHENTICATION_METHODS:
        known = ", ".join(AUTHENTICATION_METHODS)
        raise ImproperlyConfigured(f"{where}['client_authentication'] is {method!r}; known are {known}.")
    _check_extra_parameters(f"{where}['extra_authorize_parameters']", entry.get("extra_authorize_parameters") or {})
    given = {key: value for key, value in entry.items() if value is not None}
    for key in _PROVIDER_FLAGS:
        flag(f"{where}[{key!r}]", given.get(key, False))
    listed = entry.get("scopes") or ()
    words = listed if isinstance(listed, Mapping) else {}
    return ProviderSettings(**{**given, "slug": slug, "scopes": _provider_scopes(where, listed), "scope_words": words})


def _with_preset(where: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entry over what its preset says."""
    name = entry.get("preset")
    if not name:
        return {key: value for key, value in entry.items() if key != "preset"}
    if not isinstance(name, str) or name not in PRESETS:
        near = get_close_matches(str(name), PRESETS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(PRESETS)}."
        raise ImproperlyConfigured(f"{where}['preset'] is {name!r}; {hint}")
    own = {key: value for key, value in entry.items() if key != "preset" and value not in (None, "", ())}
    return {**PRESETS[name], **own}


def _provider_scopes(where: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ImproperlyConfigured(f"{where}['scopes'] is a string; make it a list of scopes.")
    scopes = tuple(value) if isinstance(value, Iterable) else (value,)
    if bad := [scope for scope in scopes if not isinstance(scope, str) or not is_scope_token(scope)]:
        raise ImproperlyConfigured(
            f"{where}['scopes'] holds {bad[0]!r}, which can't be a scope (RFC 6749 section 3.3)."
        )
    return scopes


def _check_extra_parameters(where: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"{where} is no dict.")
    for name, text in value.items():
        if not all(isinstance(each, str) and each.isprintable() for each in (name, text)):
            raise ImproperlyConfigured(f"{where} holds {name!r}: {text!r}; both must be printable strings.")


def _check_provider_url(where: str, url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_https = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        is_https = False
    if not is_https and not (url.startswith("http://") and is_loopback_url(url)):
        raise ImproperlyConfigured(f"{where} is {url!r}; use https:// (http:// is accepted for loopback hosts only).")
