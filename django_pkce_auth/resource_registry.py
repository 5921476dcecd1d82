"""``PKCE_AUTH["RESOURCES"]``: the protected resources that tokens can be bound to (RFC 8707)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from .addresses import issuer_fault
from .protocol.scopes import is_scope_token

KEYS = frozenset({"name", "scopes"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One protected resource. ``identifier`` is its ``aud`` and what clients name in ``resource``.

    ``name`` is for people and may be a lazy translation; ``scopes`` are those that its metadata lists.
    """

    identifier: str
    name: Any = ""
    scopes: tuple[str, ...] = ()
    is_own: bool = False
    """This project itself: a token that is bound to nothing is for it."""

    @property
    def path(self) -> str:
        """The identifier's path without a slash at its end; empty at the root."""
        return urlsplit(self.identifier).path.rstrip("/")

    def admits(self, resources: Iterable[str]) -> bool:
        """True where a token for ``resources`` may be used here."""
        bound = tuple(resources)
        return self.identifier in bound or (self.is_own and not bound)


class ResourceRegistry(Mapping[str, Resource]):
    """Every resource by its identifier; ``own``, this project under its issuer's name, is always one of them."""

    def __init__(self, own: Resource, others: Iterable[Resource] = ()) -> None:
        self.own = own
        self._resources = {resource.identifier: resource for resource in (own, *others)}
        origin = _origin(own.identifier)
        local = (each for each in self._resources.values() if each.path and _origin(each.identifier) == origin)
        self._below = sorted(local, key=lambda each: -len(each.path))

    def __getitem__(self, identifier: str) -> Resource:
        return self._resources[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    def named(self, identifier: str) -> Resource | None:
        """Return the resource that a client means, or None; ``https://host/`` is ``https://host`` (RFC 3986 §6.2.3)."""
        found = self._resources.get(identifier)
        if found is None and identifier.endswith("/"):
            # Looked up and not taken apart: what strangers send may be no address at all.
            bare = self._resources.get(identifier[:-1])
            found = bare if bare is not None and not bare.path else None
        return found

    def meant_by(self, key: str) -> Resource:
        """Return what a project's own code names, by an identifier or a path; one that is unknown admits its tokens."""
        identifier = absolute_identifier(key, issuer=self.own.identifier)
        return self.named(identifier) or Resource(identifier)

    def those(self, identifiers: Iterable[str]) -> tuple[Resource, ...]:
        """Return the resources, to be shown; one that has left the settings has no name."""
        return tuple(self._resources.get(identifier) or Resource(identifier) for identifier in identifiers)

    def at(self, path: str) -> Resource:
        """Return the resource that a request's path belongs to: the longest one that it lies below, or ``own``."""
        for resource in self._below:
            if path == resource.path or path.startswith(f"{resource.path}/"):
                return resource
        return self.own


def parse_resources(raw: Mapping[str, Any], *, issuer: str) -> ResourceRegistry:
    """Read the setting: identifier, or a path of this project, → words or a dict; raises ImproperlyConfigured."""
    own = Resource(issuer, is_own=True)
    others = [_parse(key, entry, issuer) for key, entry in raw.items()]
    for resource in others:
        if resource.identifier == issuer:
            own = Resource(issuer, resource.name, resource.scopes, is_own=True)
    return ResourceRegistry(own, [resource for resource in others if resource.identifier != issuer])


def absolute_identifier(key: str, *, issuer: str) -> str:
    """Return the identifier that a path stands for on the issuer's host; anything else is one already."""
    return f"{_origin(issuer)}{key}" if key.startswith("/") else key


def _parse(key: Any, entry: Any, issuer: str) -> Resource:
    where = f"PKCE_AUTH['RESOURCES'][{key!r}]"
    identifier = absolute_identifier(key, issuer=issuer) if isinstance(key, str) else ""
    if not identifier or (fault := issuer_fault(identifier)):
        said = fault if identifier else "is no string"
        raise ImproperlyConfigured(
            f"{where} {said}; name it by its address, or by its path on this host, such as /api."
        )
    if not isinstance(entry, Mapping):
        return Resource(identifier, name=entry)
    if unknown := sorted(str(name) for name in entry if name not in KEYS):
        raise ImproperlyConfigured(f"{where} has the unknown key {unknown[0]!r}; known: {', '.join(sorted(KEYS))}.")
    scopes = entry.get("scopes", ())
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        raise ImproperlyConfigured(f"{where}['scopes'] is {scopes!r}; it must be a list of scopes.")
    if bad := [scope for scope in scopes if not isinstance(scope, str) or not is_scope_token(scope)]:
        raise ImproperlyConfigured(f"{where}['scopes'] holds {bad[0]!r}; it must be a list of scopes (RFC 6749 §3.3).")
    return Resource(identifier, name=entry.get("name", ""), scopes=tuple(scopes))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
