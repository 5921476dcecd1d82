"""System checks: what is wrong with the settings is said before the first request."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import override

from . import conf
from .addresses import is_loopback_url
from .protocol.scopes import is_scope_token

UNREADABLE = (DatabaseError, ImproperlyConfigured)  # no table before the first migrate; an API may have no database


@register("pkce_auth")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Everything that the settings file alone decides.

    E001 the settings can't be used, E002 an unknown key, E003 an issuer that is not https, E004 no encryption keys,
    E005 an encryption key that is none, E006 a scope that can't be one, E007 a policy that is no subclass of ours,
    E011 a function that is none.
    """
    try:
        settings = conf.settings()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="See the README's settings.", id="pkce_auth.E001"), *_unknown_keys()]
    return [*_unknown_keys(), *_https(settings), *_keys(settings), *_scopes(settings), *_policies(settings)]


def _unknown_keys() -> list[CheckMessage]:
    raw = getattr(django_settings, "PKCE_AUTH", None)
    found: list[CheckMessage] = []
    for key in sorted(str(key) for key in raw if key not in conf.KEYS) if isinstance(raw, dict) else ():
        near = get_close_matches(key.upper(), conf.KEYS, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(sorted(conf.KEYS))}."
        found.append(Error(f"PKCE_AUTH has the unknown key {key!r}.", hint=hint, id="pkce_auth.E002"))
    return found


def _https(settings: conf.Settings) -> list[CheckMessage]:
    if settings.issuer.startswith("https://") or is_loopback_url(settings.issuer):
        return []
    message = f"PKCE_AUTH['ISSUER'] is {settings.issuer!r}: codes and tokens would travel in clear."
    hint = "Serve the project over https and write https:// here; http:// is for loopback hosts."
    return [(Warning if django_settings.DEBUG else Error)(message, hint=hint, id="pkce_auth.E003")]


def _keys(settings: conf.Settings) -> list[CheckMessage]:
    if settings.providers and not settings.encryption_keys:
        error = conf.missing("ENCRYPTION_KEYS")
        return [Error(str(error), hint="The tokens of connections are stored encrypted.", id="pkce_auth.E004")]
    if not settings.encryption_keys:
        return []
    from cryptography.fernet import Fernet

    found: list[CheckMessage] = []
    for position, key in enumerate(settings.encryption_keys):
        try:
            Fernet(key)
        except ValueError:
            message = f"PKCE_AUTH['ENCRYPTION_KEYS'][{position}] is no key: a key is 32 bytes in URL-safe base64."
            found.append(Error(message, hint=f"It takes {conf.HINTS['ENCRYPTION_KEYS']}.", id="pkce_auth.E005"))
    return found


def _scopes(settings: conf.Settings) -> list[CheckMessage]:
    bad = [scope for scope in settings.scopes if not isinstance(scope, str) or not is_scope_token(scope)]
    return [
        Error(
            f"PKCE_AUTH['SCOPES'] has {scope!r}, which can't be a scope.",
            hint="A scope is printable ASCII without spaces, double quotes and backslashes (RFC 6749 section 3.3).",
            id="pkce_auth.E006",
        )
        for scope in bad
    ]


def _policies(settings: conf.Settings) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for key, dotted, base in (
        ("SERVER_POLICY", settings.server_policy, "django_pkce_auth.server.policy.ServerPolicy"),
        ("CLIENT_POLICY", settings.client_policy, "django_pkce_auth.client.policy.ClientPolicy"),
    ):
        found_class, why = _named(dotted)
        if why or not (isinstance(found_class, type) and issubclass(found_class, import_string(base))):
            message = f"PKCE_AUTH[{key!r}] is {dotted!r}, which {why or f'is no subclass of {base}'}."
            found.append(Error(message, hint="Write the dotted path of your subclass.", id="pkce_auth.E007"))
    server = settings.authorization_server
    functions = {"['METRICS']": settings.metrics, "['AUTHORIZATION_SERVER']['user']": server.user if server else ""}
    for where, dotted in functions.items():
        if not dotted:
            continue
        function, why = _named(dotted)
        if why or not callable(function):
            message = f"PKCE_AUTH{where} is {dotted!r}, which {why or 'is no function'}."
            found.append(Error(message, hint="Write the dotted path of your function.", id="pkce_auth.E011"))
    return found


def _named(dotted: object) -> tuple[Any, str]:
    """Return what a setting names, and why it can't be had; one of the two is empty."""
    if not isinstance(dotted, str):
        return None, "is no dotted path"
    try:
        return import_string(dotted), ""
    except ImportError as error:
        return None, f"can't be imported: {error}"


@register("pkce_auth")
def check_project(**kwargs: Any) -> list[CheckMessage]:
    """What the project around us must have.

    E008 the URLs are not included, E009 a middleware is missing, W010 the log-in page can't be found,
    E012 times are kept without their time zone, E013 the URLs change with the language.
    """
    found: list[CheckMessage] = []
    if not django_settings.USE_TZ:
        message = "USE_TZ is False: local times come twice when clocks go back, so no token would end when it should."
        hint = "Set USE_TZ = True; TIME_ZONE stays as it is, and only what is stored is UTC."
        found.append(Error(message, hint=hint, id="pkce_auth.E012"))
    if _only_guards():
        return found
    if not _reverses("pkce_auth:token"):
        hint = 'Add path("", include("django_pkce_auth.urls")) to the URLconf.'
        found.append(Error("The URLs of django_pkce_auth are not included.", hint=hint, id="pkce_auth.E008"))
    elif len(paths := _paths_by_language("pkce_auth:token")) > 1:
        message = f"The URLs of django_pkce_auth change with the language: {' and '.join(paths)} are the same endpoint."
        hint = "Include them outside of i18n_patterns: other sites know one address of each, and one redirect URI."
        found.append(Error(message, hint=hint, id="pkce_auth.E013"))
    installed = [_imported(dotted) for dotted in django_settings.MIDDLEWARE]
    for needed in (SessionMiddleware, AuthenticationMiddleware):
        if not any(isinstance(each, type) and issubclass(each, needed) for each in installed):
            message = f"{needed.__name__} is not in MIDDLEWARE: nobody could be signed in on the consent page."
            hint = f"Add '{needed.__module__}.{needed.__name__}'."
            found.append(Error(message, hint=hint, id="pkce_auth.E009"))
    if not _leads_somewhere(django_settings.LOGIN_URL):
        message = f"LOGIN_URL is {django_settings.LOGIN_URL!r}, which seems to lead nowhere: visitors could not log in."
        hint = "Point it to your log-in page; 'admin:login' is one, where the admin is in use."
        found.append(Warning(message, hint=hint, id="pkce_auth.W010"))
    return found


def _only_guards() -> bool:
    """True for a project with APIs alone: another one issues their tokens, and nobody signs in here."""
    # As it was written: where it is wrong, E001 says so, and advice on a log-in page would be beside the point.
    raw = getattr(django_settings, "PKCE_AUTH", None)
    elsewhere = isinstance(raw, dict) and raw.get("AUTHORIZATION_SERVER") is not None
    return elsewhere and _reverses("pkce_auth:resource_metadata") and not _reverses("pkce_auth:token")


def _reverses(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False


def _paths_by_language(name: str) -> list[str]:
    """Return the addresses of a view in two languages; in more, a large project's URLconf would take its time."""
    default = django_settings.LANGUAGE_CODE
    other = next((code for code, _ in django_settings.LANGUAGES if code != default), default)
    paths = []
    for language in (default, other):
        with override(language):
            paths.append(reverse(name))
    return list(dict.fromkeys(paths))


def _imported(dotted: str) -> Any:
    """Return the middleware, or None where its name is wrong: Django says so in its own words."""
    try:
        return import_string(dotted)
    except ImportError:
        return None


def _leads_somewhere(login_url: str) -> bool:
    try:
        parts = urlsplit(resolve_url(login_url))
        return bool(parts.netloc) or bool(resolve(parts.path))
    except (NoReverseMatch, Resolver404):
        return False


@register("pkce_auth")
def check_bearer_middleware(**kwargs: Any) -> list[CheckMessage]:
    """W023 BearerMiddleware stands behind a middleware that would refuse a request before it is looked at."""
    ours = "django_pkce_auth.resource.middleware.BearerMiddleware"
    installed = list(django_settings.MIDDLEWARE)
    before = installed[: installed.index(ours)] if ours in installed else []
    return [
        Warning(
            f"BearerMiddleware stands behind {dotted.rpartition('.')[2]}, which refuses requests with a token.",
            hint=f"Move '{ours}' in front of it.",
            id="pkce_auth.W023",
        )
        for dotted in before
        if dotted.endswith((".CsrfViewMiddleware", ".LoginRequiredMiddleware"))
    ]


@register("pkce_auth")
def check_new_users(**kwargs: Any) -> list[CheckMessage]:
    """W025 a first log-in makes a user by a policy that can't fill the user model."""
    from .client.policy import ClientPolicy, unfilled

    try:
        settings = conf.settings()
    except ImproperlyConfigured:
        return []
    makers = [slug for slug, each in settings.providers.items() if each.login and each.create_users]
    policy, _ = _named(settings.client_policy)
    if not makers or getattr(policy, "create_user", None) is not ClientPolicy.create_user:
        return []
    users = get_user_model()
    return [
        Warning(
            f"A first log-in through {makers[0]!r} makes a user by ClientPolicy.create_user, which has no value for "
            f"{users.__name__}.{name} that is right.",
            hint="Write create_user in the subclass that CLIENT_POLICY names; docs/extend.md has an example.",
            id="pkce_auth.W025",
        )
        for name in unfilled(users)
    ]


@register("pkce_auth", deploy=True)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """What matters once more than one process serves the project.

    W020 failures are counted in each process alone, W021 a proxy's https is not seen,
    W024 verified tokens are kept in each process alone.
    """
    found: list[CheckMessage] = []
    backend = str(django_settings.CACHES.get("default", {}).get("BACKEND", ""))
    if backend.endswith(("LocMemCache", "DummyCache")) and not _only_guards():
        message = f"The brake on failed attempts counts in {backend}: in each process by itself, or not at all."
        hint = "Set CACHES['default'] to a cache that all processes share."
        found.append(Warning(message, hint=hint, id="pkce_auth.W020"))
    try:
        settings = conf.settings()
    except ImproperlyConfigured:
        return found
    if settings.token_cache_lifetime is not None and backend.endswith(("LocMemCache", "DummyCache")):
        seconds = round(settings.token_cache_lifetime.total_seconds())
        message = f"Verified tokens are kept in {backend}: what one process ends works in others for {seconds} seconds."
        hint = "Set CACHES['default'] to a cache that all processes share, or leave TOKEN_CACHE_LIFETIME out."
        found.append(Warning(message, hint=hint, id="pkce_auth.W024"))
    is_https = settings.issuer.startswith("https://")
    if is_https and not django_settings.SECURE_PROXY_SSL_HEADER and not django_settings.SECURE_SSL_REDIRECT:
        message = "ISSUER is https, but Django is told neither to redirect to https nor how a proxy says that it was."
        hint = "Set SECURE_PROXY_SSL_HEADER behind a proxy that ends TLS, or SECURE_SSL_REDIRECT where Django sees it."
        found.append(Warning(message, hint=hint, id="pkce_auth.W021"))
    return found


@register(Tags.database, "pkce_auth")
def check_client_scopes(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W022 a client has a scope that the settings do not know."""
    from .server.models import Client

    try:
        known = set(conf.settings().scopes)
    except ImproperlyConfigured:
        return []
    alias = router.db_for_write(Client)
    if alias not in (databases or ()):
        return []
    try:
        rows = list(Client.objects.using(alias).exclude(scope="").values_list("client_id", "scope"))
    except UNREADABLE:
        return []
    return [
        Warning(
            f"The client {client_id} may ask for {gone!r}, which is not in PKCE_AUTH['SCOPES']; it is never granted.",
            hint="Bring the scope back, or take it from the client.",
            id="pkce_auth.W022",
        )
        for client_id, scope in rows
        for gone in scope.split()
        if gone not in known
    ]


@register(Tags.database, "pkce_auth")
def check_signing_keys(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E031 a client gets signed tokens that no key can sign."""
    from .server.models import OPAQUE, Client
    from .server.signing_key import SigningKey

    alias = router.db_for_write(Client)
    if alias not in (databases or ()):
        return []
    try:
        clients = Client.objects.using(alias).filter(disabled_at=None).exclude(token_format=OPAQUE)
        wanted = dict(clients.order_by("-pk").values_list("token_format", "client_id"))
        missing = [name for name in sorted(wanted) if SigningKey.objects.signing(name, timezone.now()) is None]
    except UNREADABLE:
        return []
    return [
        Error(
            f"The client {wanted[name]} gets {name} tokens, and there is no key that signs them.",
            hint=f"Run manage.py pkce_keys add --algorithm {name}.",
            id="pkce_auth.E031",
        )
        for name in missing
    ]


@register(Tags.database, "pkce_auth")
def check_provider_clash(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E030 a provider is in the settings and in the admin."""
    from .client.models import Provider

    try:
        slugs = set(conf.settings().providers)
    except ImproperlyConfigured:
        return []
    alias = router.db_for_write(Provider)
    if alias not in (databases or ()):
        return []
    try:
        clashes = list(Provider.objects.using(alias).filter(slug__in=slugs).values_list("slug", flat=True))
    except UNREADABLE:
        return []
    return [
        Error(
            f"The provider {slug!r} is in PKCE_AUTH['PROVIDERS'] and in the admin.",
            hint="Remove one of the two; until then the one of the settings counts.",
            id="pkce_auth.E030",
        )
        for slug in clashes
    ]
