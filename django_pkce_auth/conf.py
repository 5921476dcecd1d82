"""``settings.PKCE_AUTH`` as frozen typed values, read live, so that ``override_settings`` works."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .protocol.client_authentication import AUTHENTICATION_METHODS
from .protocol.scopes import is_scope_token
from .scope_registry import ScopeRegistry, parse_scopes

# What each key means, in the words that the documentation shows; the checks take the names from here too.
KEYS: Mapping[str, str] = {
    "ISSUER": "Required: this project's own address; every URL that it gives to others begins with it.",
    "SCOPES": "Scope → words for people, or → a dict with `words`, `group`, `sensitive`, `implies`, `required`.",
    "ENCRYPTION_KEYS": "Keys for connected accounts' tokens: the first encrypts, all decrypt. Needed with `PROVIDERS`.",
    "PROVIDERS": "Slug → another authorization server that users connect to.",
    "AUTHORIZATION_CODE_LIFETIME": "Seconds (or a `timedelta`, as with all lifetimes) to redeem a code. Default 60.",
    "ACCESS_TOKEN_LIFETIME": "Seconds until an access token ends. Default 3600.",
    "REFRESH_TOKEN_LIFETIME": "Seconds without use until a refresh token ends. Default 2592000, 30 days.",
    "AUTHORIZATION_LIFETIME": "Seconds from approval until everything ends, refreshed or not. Default: no limit.",
    "DEVICE_CODE_LIFETIME": "Seconds that a person has to enter a device's code. Default 600.",
    "AUDIT": "True writes a row into the audit log for each event. Default False.",
    "SERVER_POLICY": "Dotted path to your subclass of `django_pkce_auth.server.policy.ServerPolicy`.",
    "CLIENT_POLICY": "Dotted path to your subclass of `django_pkce_auth.client.policy.ClientPolicy`.",
}
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
_URL_CHARACTERS = re.compile(r"[\x21-\x7e]+\Z")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


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


@dataclass(frozen=True, slots=True)
class Settings:
    """``PKCE_AUTH``, checked. Lifetimes are timedeltas; in the settings file they are seconds or timedeltas."""

    issuer: str
    scopes: ScopeRegistry
    encryption_keys: tuple[str, ...] = field(repr=False)
    providers: Mapping[str, ProviderSettings]
    server_policy: str
    client_policy: str
    authorization_code_lifetime: timedelta
    access_token_lifetime: timedelta
    device_code_lifetime: timedelta
    refresh_token_lifetime: timedelta
    authorization_lifetime: timedelta | None
    audit: bool = False

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer: in front of every URL that we give to others."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def issuer_path(self) -> str:
        """The issuer's path without a slash at its end, mostly empty."""
        return urlsplit(self.issuer).path

    def absolute(self, path: str) -> str:
        return f"{self.origin}{path}"


_last: tuple[object, Settings] | None = None


def settings() -> Settings:
    """Return the current settings; raises ImproperlyConfigured, with the mend, for what can't be used.

    A parsed value is kept for as long as ``settings.PKCE_AUTH`` is the same object.
    """
    global _last
    raw = getattr(django_settings, "PKCE_AUTH", None)
    if _last is not None and _last[0] is raw:
        return _last[1]
    parsed = parse(raw)
    _last = (raw, parsed)
    return parsed


def parse(raw: object) -> Settings:
    if not isinstance(raw, Mapping):
        raise ImproperlyConfigured(
            "settings.PKCE_AUTH is missing or no dict; the least is "
            'PKCE_AUTH = {"ISSUER": "https://this-project.example"}.'
        )
    issuer = raw.get("ISSUER")
    if not isinstance(issuer, str) or (fault := issuer_fault(issuer)):
        raise ImproperlyConfigured(
            f"PKCE_AUTH['ISSUER'] {fault if isinstance(issuer, str) else 'is missing'}; set it to this project's own "
            "address, such as https://example.com."
        )
    return Settings(
        issuer=issuer,
        scopes=parse_scopes(_mapping(raw, "SCOPES")),
        encryption_keys=_encryption_keys(raw.get("ENCRYPTION_KEYS", ())),
        providers={slug: parse_provider(slug, entry) for slug, entry in _mapping(raw, "PROVIDERS").items()},
        server_policy=raw.get("SERVER_POLICY", "django_pkce_auth.server.policy.ServerPolicy"),
        client_policy=raw.get("CLIENT_POLICY", "django_pkce_auth.client.policy.ClientPolicy"),
        authorization_code_lifetime=_lifetime(raw, "AUTHORIZATION_CODE_LIFETIME", 60),
        access_token_lifetime=_lifetime(raw, "ACCESS_TOKEN_LIFETIME", 3600),
        device_code_lifetime=_lifetime(raw, "DEVICE_CODE_LIFETIME", 600),
        refresh_token_lifetime=_lifetime(raw, "REFRESH_TOKEN_LIFETIME", 30 * 86400),
        authorization_lifetime=(
            None if raw.get("AUTHORIZATION_LIFETIME") is None else _lifetime(raw, "AUTHORIZATION_LIFETIME", 0)
        ),
        audit=bool(raw.get("AUDIT", False)),
    )


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


def missing(key: str) -> ImproperlyConfigured:
    """The exception for a key that what just ran can't do without."""
    hints = {
        "ENCRYPTION_KEYS": 'a list of keys; make one with python -c "from cryptography.fernet import Fernet; '
        'print(Fernet.generate_key().decode())" and keep it out of the repository',
    }
    return ImproperlyConfigured(f"PKCE_AUTH[{key!r}] is missing: it takes {hints[key]}.")


def policy(dotted_path: str) -> Any:
    """Return an instance of the policy class that a setting names."""
    return import_string(dotted_path)()


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
    if not isinstance(entry.get("extra_authorize_parameters") or {}, Mapping):
        raise ImproperlyConfigured(f"{where}['extra_authorize_parameters'] is no dict.")
    given = {key: value for key, value in entry.items() if value is not None}
    listed = entry.get("scopes") or ()
    words = listed if isinstance(listed, Mapping) else {}
    return ProviderSettings(**{**given, "slug": slug, "scopes": _provider_scopes(where, listed), "scope_words": words})


def _with_preset(where: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entry over what its preset says."""
    name = entry.get("preset")
    if not name:
        return {key: value for key, value in entry.items() if key != "preset"}
    from .presets import PRESETS

    if name not in PRESETS:
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


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"PKCE_AUTH[{key!r}] is a {type(value).__name__}, not a dict.")
    return value


def _encryption_keys(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ImproperlyConfigured("PKCE_AUTH['ENCRYPTION_KEYS'] is no list; even a single key stands in a list.")
    return tuple(key.decode() if isinstance(key, bytes) else str(key) for key in value)


def _lifetime(raw: Mapping[str, Any], key: str, default: int) -> timedelta:
    value = raw.get(key, default)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 10**9:
        raise ImproperlyConfigured(
            f"PKCE_AUTH[{key!r}] is {value!r}; it takes a number of seconds above 0, or a timedelta."
        )
    return timedelta(seconds=seconds)
