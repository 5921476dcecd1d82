"""Registering clients and giving them secrets: the same for the admin and for the command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from ..protocol.grant_types import GRANT_TYPES
from ..protocol.redirect_uris import problem
from ..protocol.scopes import is_scope_token
from ..resource_registry import ResourceRegistry, absolute_identifier
from ..secrets import CLIENT_SECRET, MIN_PROVISIONED_CHARACTERS, digest, generate
from ..statement import plain_field
from .models import Client, ClientSecret, RedirectURI, TokenFamily

_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


def generate_client_id() -> str:
    """Return a new identifier: 43 URL-safe characters, the first no hyphen, as a command takes that for an option."""
    while (client_id := generate()).startswith("-"):
        pass
    return client_id


def clean_client_id(client_id: str) -> str:
    """Return the identifier if a client can present it by HTTP Basic as well; raises ValidationError."""
    if not _VISIBLE.match(client_id) or ":" in client_id:
        raise ValidationError(_("A client ID is printable ASCII without spaces and colons."))
    return client_id


def clean_new_client_id(client_id: str) -> str:
    """Return the identifier if a new client may have it; raises ValidationError also for what may be a user's key.

    A client's own token names it as ``sub``, and an API elsewhere may take that for the user (OAuth 2.1 §7.4).
    """
    if _may_be_a_user(clean_client_id(client_id)):
        raise ValidationError(_("A client ID must not be what the key of a user is, or may become; add a letter."))
    return client_id


def _may_be_a_user(client_id: str) -> bool:
    users = get_user_model()
    key = plain_field(users._meta.pk)
    try:
        if isinstance(key, models.IntegerField | models.UUIDField):
            # However it is written: who looks a user up by "01" finds user 1.
            return key.to_python(client_id) is not None
        return bool(users._base_manager.filter(pk=client_id).exists())
    except (ValidationError, ValueError, TypeError):
        return False


def set_redirect_uris(client: Client, uris: Iterable[str]) -> None:
    """Make ``uris``, already cleaned, the client's redirect URIs; compared here, as some databases ignore case."""
    wanted, present = list(uris), list(client.redirect_uris.all())
    gone = [row.pk for row in present if row.uri not in wanted]
    client.redirect_uris.filter(pk__in=gone).delete()
    known = {row.uri for row in present}
    RedirectURI.objects.bulk_create(RedirectURI(client=client, uri=uri) for uri in wanted if uri not in known)


def add_redirect_uri(client: Client, uri: str) -> bool:
    """Register one more, and return whether it is new; raises ValidationError. The others are left alone."""
    uri = uri.strip()
    if fault := _problem(uri, public=not client.is_confidential):
        raise ValidationError(f"{uri[:100]}: {fault}")
    with _alone(client):
        if any(row.uri == uri for row in client.redirect_uris.all()):
            return False
        client.redirect_uris.create(uri=uri)
    return True


def remove_redirect_uri(client: Client, uri: str) -> bool:
    """Take one away, and return whether it was there; the others are left alone."""
    gone = [row.pk for row in client.redirect_uris.all() if row.uri == uri.strip()]
    return bool(client.redirect_uris.filter(pk__in=gone).delete()[0])


@contextmanager
def _alone(client: Client) -> Iterator[None]:
    """Keep others that change this client's redirect URIs waiting, so that none is registered twice."""
    rows = Client.objects.primary().filter(pk=client.pk)
    with transaction.atomic(using=rows.db):
        # Written, as SQLite locks no row that is only read.
        rows.update(client_id=F("client_id"))
        yield


def clean_redirect_uris(lines: str | Iterable[str], *, public: bool) -> list[str]:
    """Return the redirect URIs, each once; raises ValidationError that names the line and what is wrong with it."""
    uris = list(dict.fromkeys(line.strip() for line in (lines.splitlines() if isinstance(lines, str) else lines)))
    uris = [uri for uri in uris if uri]
    faults = [f"{uri[:100]}: {fault}" for uri in uris if (fault := _problem(uri, public=public))]
    if faults:
        raise ValidationError(faults)
    return uris


def _problem(uri: str, *, public: bool) -> str | None:
    if fault := problem(uri):
        return fault
    if not public and not uri.startswith(("https://", "http://")):
        return "A private-use scheme belongs to an app on the user's device, which can keep no secret: make it public."
    return None


def clean_scope(value: str | Iterable[str], known: Iterable[str]) -> str:
    """Return the scopes, separated by single spaces; raises ValidationError for one that the settings do not know."""
    scopes = list(dict.fromkeys(value.split() if isinstance(value, str) else value))
    known = list(known)
    for scope in scopes:
        if not is_scope_token(scope) or scope not in known:
            raise ValidationError(
                _("%(scope)s is not in PKCE_AUTH['SCOPES']; known are: %(known)s.")
                % {"scope": scope[:100], "known": " ".join(known) or "-"}
            )
    return " ".join(scopes)


def clean_resources(identifiers: Iterable[str], registry: ResourceRegistry) -> str:
    """Return the identifiers, separated by spaces; a path stands for one here. Raises ValidationError for others."""
    named = []
    for identifier in identifiers:
        resource = registry.named(absolute_identifier(identifier, issuer=registry.own.identifier))
        if resource is None:
            raise ValidationError(
                _("%(resource)s is not in PKCE_AUTH['RESOURCES']; known are: %(known)s.")
                % {"resource": identifier[:100], "known": " ".join(registry)}
            )
        named.append(resource.identifier)
    return " ".join(dict.fromkeys(named))


def clean_grant_types(names: Iterable[str], *, public: bool) -> str:
    """Return the grant types, separated by single spaces; raises ValidationError for one that the client can't use."""
    wanted = set(names)
    for name in sorted(wanted):
        if name not in GRANT_TYPES:
            raise ValidationError(
                _("%(name)s is no grant type of this server; known are: %(known)s.")
                % {"name": name[:100], "known": " ".join(GRANT_TYPES)}
            )
    if public and "client_credentials" in wanted:
        raise ValidationError(_("A public client has no identity of its own, so it can't use client_credentials."))
    if not wanted - {"refresh_token"}:
        raise ValidationError(_("A client needs a grant type to get its first token by."))
    return " ".join(name for name in GRANT_TYPES if name in wanted)


def clean_web_origins(lines: str | Iterable[str]) -> str:
    """Return the origins (RFC 6454 §6.2), separated by spaces, as a browser writes them; raises ValidationError."""
    origins = list(dict.fromkeys(lines.split() if isinstance(lines, str) else lines))
    for origin in origins:
        if not _is_origin(origin):
            raise ValidationError(
                _("%(origin)s is no web origin: write https://host or https://host:port, lower case, without a path.")
                % {"origin": origin[:100]}
            )
    return " ".join(origins)


def _is_origin(origin: str) -> bool:
    """True for what a browser sends as Origin: scheme, host and a port that is not the scheme's own."""
    if problem(origin) or not origin.startswith(("https://", "http://")):
        return False
    parts = urlsplit(origin)
    usual = {"https": ":443", "http": ":80"}[parts.scheme]
    return origin == f"{parts.scheme}://{parts.netloc}" and not parts.netloc.endswith(usual)


def add_secret(client: Client, *, raw: str | None = None, now: datetime, using: str | None = None) -> str:
    """Give the client one more secret and return it; this is the only time that it can be seen.

    ``raw`` provisions one that was generated elsewhere; raises ValidationError if it has fewer than 32 characters or
    is taken. Secrets that the client has keep working.
    """
    if not client.is_confidential:
        raise ValidationError(_("A public client has no secret: whoever has the app has it too."))
    if raw is None:
        raw = generate(CLIENT_SECRET)
    elif len(raw) < MIN_PROVISIONED_CHARACTERS or not _VISIBLE.match(raw):
        raise ValidationError(
            _("The secret has %(length)s characters; it needs %(minimum)s or more of printable ASCII, all random.")
            % {"length": len(raw), "minimum": MIN_PROVISIONED_CHARACTERS}
        )
    secrets = ClientSecret.objects.using(using or router.db_for_write(ClientSecret))
    if secrets.filter(digest=digest(raw)).exists():
        raise ValidationError(_("This secret is in use already; generate another one."))
    secrets.create(client=client, digest=digest(raw), created_at=now)
    return raw


def end_secret(client: Client, fingerprint: str, *, at: datetime, now: datetime) -> bool:
    """Let the secret end at ``at``; return False, with nothing changed, for one that has ended before ``now``.

    Raises ValidationError where the client has no secret of this fingerprint.
    """
    named = [row.pk for row in client.secrets.all() if row.fingerprint == fingerprint]
    if not named:
        raise ValidationError(
            _("%(client)s has no secret %(fingerprint)s; those that it has are %(known)s.")
            % {
                "client": client.client_id,
                "fingerprint": fingerprint[:100],
                "known": " ".join(row.fingerprint for row in client.secrets.order_by("created_at", "pk")) or "-",
            }
        )
    goes_on = Q(expires_at=None) | Q(expires_at__gt=now)
    return bool(client.secrets.filter(goes_on, pk__in=named).update(expires_at=at))


def remove(client: Client) -> None:
    """Delete the client with all that is its own, though it goes on asking for more meanwhile.

    What it has goes first, which takes its time; then its row is held, so that the rest is what there is, and nobody
    waits for long.
    """
    rows = Client.objects.primary().filter(pk=client.pk)
    with transaction.atomic(using=rows.db):
        TokenFamily.objects.using(rows.db).filter(client=client.pk).delete()
        for row in rows.select_for_update():
            row.delete(using=rows.db)
