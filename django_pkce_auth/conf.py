"""``settings.PKCE_AUTH`` as frozen typed values, read live, so that ``override_settings`` works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .addresses import issuer_fault
from .flags import flag
from .resource_registry import ResourceRegistry, parse_resources
from .scope_registry import ScopeRegistry, parse_scopes

if TYPE_CHECKING:
    from .authorization_server import AuthorizationServer
    from .provider_settings import ProviderSettings

# What each key means, in the words that the documentation shows; the checks take the names from here too.
KEYS: Mapping[str, str] = {
    "ISSUER": "Required: this project's own address; every URL that it gives to others begins with it.",
    "SCOPES": "Scope → words for people, or → a dict with `words`, `group`, `sensitive`, `implies`, `required`.",
    "RESOURCES": "Address, or path here → words, or a dict with `name`, `scopes`: resources that tokens are bound to.",
    "ENCRYPTION_KEYS": "List of keys (the first encrypts, all decrypt), or a function that returns it, or its path.",
    "PROVIDERS": "Slug → another authorization server that users connect to.",
    "AUTHORIZATION_SERVER": "A dict: another project, whose tokens the guards accept in place of this project's own.",
    "AUTHORIZATION_CODE_LIFETIME": "Seconds (or a `timedelta`, as with all lifetimes) to redeem a code. Default 60.",
    "ACCESS_TOKEN_LIFETIME": "Seconds until an access token ends. Default 3600.",
    "REFRESH_TOKEN_LIFETIME": "Seconds without use until a refresh token ends. Default 2592000, 30 days.",
    "AUTHORIZATION_LIFETIME": "Seconds from approval until everything ends, refreshed or not. Default: no limit.",
    "TOKEN_CACHE_LIFETIME": "Seconds, 300 at most, that Django's cache vouches for a valid token. Default: no cache.",
    "DEVICE_CODE_LIFETIME": "Seconds that a person has to enter a device's code. Default 600.",
    "AUDIT": "True writes a row into the audit log for each event. Default False.",
    "METRICS": "Dotted path to a function `count(name, **labels)` of yours, for what `django_pkce_auth.metrics` lists.",
    "SERVER_POLICY": "Dotted path to your subclass of `django_pkce_auth.server.policy.ServerPolicy`.",
    "CLIENT_POLICY": "Dotted path to your subclass of `django_pkce_auth.client.policy.ClientPolicy`.",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """``PKCE_AUTH``, checked. Lifetimes are timedeltas; in the settings file they are seconds or timedeltas."""

    issuer: str
    scopes: ScopeRegistry
    resources: ResourceRegistry
    encryption_keys: tuple[str, ...] = field(repr=False)
    providers: Mapping[str, ProviderSettings]
    authorization_server: AuthorizationServer | None
    server_policy: str
    client_policy: str
    authorization_code_lifetime: timedelta
    access_token_lifetime: timedelta
    device_code_lifetime: timedelta
    refresh_token_lifetime: timedelta
    authorization_lifetime: timedelta | None
    token_cache_lifetime: timedelta | None
    audit: bool = False
    metrics: str = ""

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
        resources=parse_resources(_mapping(raw, "RESOURCES"), issuer=issuer),
        encryption_keys=_encryption_keys(raw.get("ENCRYPTION_KEYS", ())),
        providers=_providers(_mapping(raw, "PROVIDERS")),
        authorization_server=_authorization_server(raw.get("AUTHORIZATION_SERVER")),
        server_policy=raw.get("SERVER_POLICY", "django_pkce_auth.server.policy.ServerPolicy"),
        client_policy=raw.get("CLIENT_POLICY", "django_pkce_auth.client.policy.ClientPolicy"),
        authorization_code_lifetime=_lifetime(raw, "AUTHORIZATION_CODE_LIFETIME", 60),
        access_token_lifetime=_lifetime(raw, "ACCESS_TOKEN_LIFETIME", 3600),
        device_code_lifetime=_lifetime(raw, "DEVICE_CODE_LIFETIME", 600),
        refresh_token_lifetime=_lifetime(raw, "REFRESH_TOKEN_LIFETIME", 30 * 86400),
        authorization_lifetime=_optional_lifetime(raw, "AUTHORIZATION_LIFETIME"),
        token_cache_lifetime=_optional_lifetime(raw, "TOKEN_CACHE_LIFETIME", at_most=300),
        audit=flag("PKCE_AUTH['AUDIT']", raw.get("AUDIT", False)),
        metrics=_dotted(raw, "METRICS"),
    )


HINTS: Mapping[str, str] = {
    "ENCRYPTION_KEYS": 'a list of keys; make one with python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())" and keep it out of the repository',
}


def missing(key: str) -> ImproperlyConfigured:
    """The exception for a key that what just ran can't do without."""
    return ImproperlyConfigured(f"PKCE_AUTH[{key!r}] is missing: it takes {HINTS[key]}.")


def policy(dotted_path: str) -> Any:
    """Return an instance of the policy class that a setting names."""
    return import_string(dotted_path)()


def _providers(entries: Mapping[str, Any]) -> Mapping[str, ProviderSettings]:
    """Without any, as where a project is a server only, nothing is imported for them."""
    if not entries:
        return {}
    from .provider_settings import parse_provider

    return {slug: parse_provider(slug, entry) for slug, entry in entries.items()}


def _authorization_server(entry: object) -> AuthorizationServer | None:
    """None where this project's own tokens are accepted, as nearly everywhere: nothing is imported for it there."""
    if entry is None:
        return None
    from .authorization_server import parse_authorization_server

    return parse_authorization_server(entry)


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"PKCE_AUTH[{key!r}] is a {type(value).__name__}, not a dict.")
    return value


def _dotted(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key) or ""
    if not isinstance(value, str):
        raise ImproperlyConfigured(f"PKCE_AUTH[{key!r}] is a {type(value).__name__}, not a dotted path.")
    return value


def _encryption_keys(value: object) -> tuple[str, ...]:
    if callable(value) or (isinstance(value, str) and "." in value):
        value = _called(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ImproperlyConfigured("PKCE_AUTH['ENCRYPTION_KEYS'] is no list; even a single key stands in a list.")
    return tuple(key.decode() if isinstance(key, bytes) else str(key) for key in value)


def _called(function: Any) -> object:
    """Return what the project's own function gives, once a process: from a vault, say."""
    try:
        return (import_string(function) if isinstance(function, str) else function)()
    except Exception as error:
        # Its text may quote a key; the type says where to look.
        raise ImproperlyConfigured(
            f"PKCE_AUTH['ENCRYPTION_KEYS'] names a function that gave no keys: it raised {type(error).__name__}."
        ) from None


def _lifetime(raw: Mapping[str, Any], key: str, default: int, *, at_most: int = 10**9) -> timedelta:
    value = raw.get(key, default)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= at_most:
        limit = "" if at_most == 10**9 else f" and at most {at_most}"
        raise ImproperlyConfigured(
            f"PKCE_AUTH[{key!r}] is {value!r}; it takes a number of seconds above 0{limit}, or a timedelta."
        )
    return timedelta(seconds=seconds)


def _optional_lifetime(raw: Mapping[str, Any], key: str, *, at_most: int = 10**9) -> timedelta | None:
    return None if raw.get(key) is None else _lifetime(raw, key, 0, at_most=at_most)
