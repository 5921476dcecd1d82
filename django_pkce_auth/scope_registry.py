"""``PKCE_AUTH["SCOPES"]``: each scope in words for people, its group, and what it implies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise

from .flags import flag

KEYS = frozenset({"words", "group", "sensitive", "implies", "required"})


@dataclass(frozen=True, slots=True)
class Scope:
    """One entry. ``words`` and ``group`` may be lazy translations; ``required`` ones can't be unticked."""

    name: str
    words: Any
    group: Any = ""
    sensitive: bool = False
    implies: tuple[str, ...] = ()
    required: bool = False


class ScopeRegistry(Mapping[str, Scope]):
    """Every scope of this server by its name, with the hierarchy worked out once."""

    def __init__(self, scopes: Mapping[str, Scope]) -> None:
        self._scopes = scopes
        self._closures = {name: self._closure(name) for name in scopes}

    def __getitem__(self, name: str) -> Scope:
        return self._scopes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._scopes

    def __iter__(self) -> Iterator[str]:
        return iter(self._scopes)

    def __len__(self) -> int:
        return len(self._scopes)

    def expand(self, names: Iterable[str]) -> frozenset[str]:
        """Return the scopes with all that they imply. A scope that was removed from the settings implies nothing."""
        expanded: set[str] = set()
        for name in names:
            expanded |= self._closures.get(name, frozenset({name}))
        return frozenset(expanded)

    def covers(self, granted: Iterable[str], needed: Iterable[str]) -> bool:
        lacking = set(needed).difference(granted)
        return not lacking or self.expand(granted).issuperset(lacking)

    def _closure(self, name: str) -> frozenset[str]:
        reached, waiting = {name}, [name]
        while waiting:
            for implied in self._scopes[waiting.pop()].implies:
                if implied not in self._scopes:
                    raise ImproperlyConfigured(
                        f"PKCE_AUTH['SCOPES'][{name!r}] implies {implied!r}, which is no scope of PKCE_AUTH['SCOPES']."
                    )
                if implied not in reached:
                    reached.add(implied)
                    waiting.append(implied)
        return frozenset(reached)


def parse_scopes(raw: Mapping[str, Any]) -> ScopeRegistry:
    """Read the setting: scope → words, or → a dict with ``words`` and more; raises ImproperlyConfigured."""
    return ScopeRegistry({name: _parse(name, entry) for name, entry in raw.items()})


def _parse(name: str, entry: Any) -> Scope:
    where = f"PKCE_AUTH['SCOPES'][{name!r}]"
    if not isinstance(entry, Mapping):
        _check_words(where, entry)
        return Scope(name, words=entry)
    if unknown := sorted(str(key) for key in entry if key not in KEYS):
        raise ImproperlyConfigured(f"{where} has the unknown key {unknown[0]!r}; known: {', '.join(sorted(KEYS))}.")
    if not entry.get("words"):
        raise ImproperlyConfigured(f"{where} has no 'words': what people read when they are asked for it.")
    _check_words(f"{where}['words']", entry["words"])
    implies = entry.get("implies", ())
    if isinstance(implies, str) or not isinstance(implies, Iterable):
        raise ImproperlyConfigured(f"{where}['implies'] is a {type(implies).__name__}; make it a list of scopes.")
    return Scope(
        name,
        words=entry["words"],
        group=entry.get("group", ""),
        sensitive=flag(f"{where}['sensitive']", entry.get("sensitive", False)),
        implies=tuple(implies),
        required=flag(f"{where}['required']", entry.get("required", False)),
    )


def _check_words(where: str, words: object) -> None:
    """Raise ImproperlyConfigured for what people can't read; a lazy translation is looked into when it is shown."""
    if not isinstance(words, str | Promise) or words == "":
        raise ImproperlyConfigured(f"{where} is {words!r}; write what people read when they are asked for this scope.")
