"""Clients as a file says: the same file again changes nothing (``manage.py pkce_client apply``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from ..conf import Settings
from ..json_object import clean_json_object
from ..secrets import digest
from .clients import (
    add_secret,
    clean_client_id,
    clean_grant_types,
    clean_new_client_id,
    clean_redirect_uris,
    clean_resources,
    clean_scope,
    clean_web_origins,
    set_redirect_uris,
)
from .keys import ensure_key
from .lookups import find_client
from .models import Client

TEXTS: Final = ("name", "type", "client_uri", "policy_uri", "tos_uri", "introspects", "token_format")
FLAGS: Final = ("first_party", "rotates_refresh_tokens", "verified", "disabled")
LISTS: Final = ("redirect_uris", "scopes", "default_scopes", "grant_types", "web_origins", "resources")
KEYS: Final = ("client_id", "secret_env", "service_user", "metadata", *TEXTS, *FLAGS, *LISTS)


def apply_clients(
    document: Mapping[str, Any], *, settings: Settings, environ: Mapping[str, str], now: datetime
) -> list[tuple[str, str]]:
    """Make each ``[[client]]`` of a parsed TOML document so; return (client_id, created, changed or unchanged).

    A key that is left out keeps its value, or its default in a new client. Raises ValidationError for the first entry
    that can't be, and IntegrityError where another process registered a client in the meantime: then it can be tried
    again. The caller's transaction undoes the entries before it.
    """
    entries = document.get("client")
    if not isinstance(entries, list) or set(document) != {"client"}:
        raise ValidationError("The file must hold [[client]] tables and nothing else.")
    seen: set[str] = set()
    done = []
    for position, entry in enumerate(entries, 1):
        client_id = _checked(entry, f"client {position}")
        if client_id in seen:
            raise ValidationError(f"{client_id} stands twice in the file.")
        seen.add(client_id)
        try:
            done.append((client_id, _apply(client_id, entry, settings, environ, now)))
        except ValidationError as error:
            raise ValidationError(f"{client_id}: {' '.join(error.messages)}") from None
    return done


def _checked(entry: object, where: str) -> str:
    """Return the entry's client_id, after its keys and their types were looked at."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("client_id"), str):
        raise ValidationError(f"{where} has no client_id.")
    where = entry["client_id"]
    for key, value in entry.items():
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1, cutoff=0.4)
            raise ValidationError(
                f"{where} has the unknown key {key}; {f'did you mean {near[0]}' if near else 'see the docs'}?"
            )
        expected: type = bool if key in FLAGS else list if key in LISTS else dict if key == "metadata" else str
        items: list[Any] = value if isinstance(value, list) else []
        if not isinstance(value, expected) or not all(isinstance(item, str) for item in items):
            kind = {bool: "true or false", list: "a list of strings", dict: "a table", str: "a string"}[expected]
            raise ValidationError(f"{where}: {key} must be {kind}.")
    return clean_client_id(where)


def _apply(
    client_id: str, entry: Mapping[str, Any], settings: Settings, environ: Mapping[str, str], now: datetime
) -> str:
    found = next((row for row in Client.objects.filter(client_id=client_id) if row.client_id == client_id), None)
    client = found or Client(client_id=clean_new_client_id(client_id), name=client_id)
    if found and entry.get("type", client.type) != client.type:
        raise ValidationError("the type of a client can't be changed; register another one.")
    before = None if found is None else _state(client)
    _set_fields(client, entry, settings, now)
    try:
        client.full_clean()
    except ValidationError:
        if found is None and find_client(client_id, secrets=False):
            raise IntegrityError(f"{client_id} was registered by another process in the meantime") from None
        raise
    client.save()
    if "redirect_uris" in entry:
        set_redirect_uris(client, clean_redirect_uris(entry["redirect_uris"], public=not client.is_confidential))
    ensure_key(client.token_format, settings=settings, now=now)
    _provision(client, entry.get("secret_env"), environ, now)
    if before is None:
        return "created"
    return "unchanged" if before == _state(Client.objects.get(pk=client.pk)) else "changed"


def _set_fields(client: Client, entry: Mapping[str, Any], settings: Settings, now: datetime) -> None:
    for name in (*TEXTS, "first_party", "rotates_refresh_tokens"):
        if name in entry:
            setattr(client, name, entry[name])
    if "metadata" in entry:
        client.metadata = clean_json_object(entry["metadata"])
    if "scopes" in entry:
        client.scope = clean_scope(entry["scopes"], settings.scopes)
    if "default_scopes" in entry:
        client.default_scope = clean_scope(entry["default_scopes"], settings.scopes)
    if beyond := [scope for scope in client.default_scopes if scope not in client.scopes]:
        raise ValidationError(f"the default scope {beyond[0]} is not among its allowed scopes.")
    if "grant_types" in entry:
        client.grant_types = clean_grant_types(entry["grant_types"], public=not client.is_confidential)
    if "resources" in entry:
        client.resources = clean_resources(entry["resources"], settings.resources)
    if "web_origins" in entry:
        client.web_origins = clean_web_origins(entry["web_origins"])
    for name, column in (("verified", "verified_at"), ("disabled", "disabled_at")):
        if name in entry:
            setattr(client, column, (getattr(client, column) or now) if entry[name] else None)
    if "service_user" in entry:
        client.service_user = _user(entry["service_user"]) if entry["service_user"] else None


def _user(name: str) -> Any:
    """Return the user who logs in by this name; the empty string in a file is no user."""
    model: Any = get_user_model()
    try:
        return model._default_manager.get(**{model.USERNAME_FIELD: name})
    except model.DoesNotExist:
        raise ValidationError(f"there is no user {name[:100]} to be its service user.") from None


def _provision(client: Client, variable: str | None, environ: Mapping[str, str], now: datetime) -> None:
    """Add the secret that an environment variable holds, if the client does not have it yet; old ones keep working."""
    if variable is None:
        return
    raw = environ.get(variable)
    if not raw:
        raise ValidationError(f"the environment variable {variable} is not set or empty.")
    known = client.secrets.filter(digest=digest(raw)).first()
    if known is not None and known.expires_at is not None and known.expires_at <= now:
        raise ValidationError(f"the secret in {variable} ({known.fingerprint}) has expired; generate another one.")
    if known is not None:
        return
    add_secret(client, raw=raw, now=now)


def _state(client: Client) -> tuple[Any, ...]:
    """Everything that a file can change, to be compared."""
    fields = (
        "name",
        "type",
        "scope",
        "default_scope",
        "grant_types",
        "web_origins",
        "resources",
        "introspects",
        "token_format",
    )
    more = (
        "token_format",
        "first_party",
        "rotates_refresh_tokens",
        "client_uri",
        "policy_uri",
        "tos_uri",
        "verified_at",
        "disabled_at",
        "metadata",
    )
    rows: Iterable[Any] = client.redirect_uris.order_by("uri").values_list("uri", flat=True)
    secrets: Iterable[Any] = client.secrets.order_by("digest").values_list("digest", flat=True)
    columns = (getattr(client, name) for name in (*fields, *more, "disabled_at", "metadata", "service_user_id"))
    return (*columns, tuple(rows), tuple(secrets))
