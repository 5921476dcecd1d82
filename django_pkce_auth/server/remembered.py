"""What a user allowed a client before, as its consent holds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..protocol.scopes import format_scope, parse_scope


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a user allowed a client, resource by resource: a scope allowed at one is not allowed at another.

    ``scope`` is for this project itself; ``resource`` has a line for each other one: its identifier, then its scopes.
    """

    scope: str = ""
    resource: str = ""

    def scopes_at(self, resources: Iterable[str], *, own: str) -> tuple[str, ...]:
        """Return the scopes that were allowed at every one of ``resources``; none: at this project itself."""
        lines, first, *others = self._lines(own), *(tuple(resources) or (own,))
        elsewhere = [set(lines.get(identifier, ())) for identifier in others]
        return tuple(scope for scope in lines.get(first, ()) if all(scope in scopes for scopes in elsewhere))

    def adding(self, scopes: tuple[str, ...], resources: Iterable[str], *, own: str) -> Remembered:
        lines = self._lines(own)
        for identifier in tuple(resources) or (own,):
            lines[identifier] = tuple(dict.fromkeys((*lines.get(identifier, ()), *scopes)))
        at_own = lines.pop(own, ())
        return Remembered(
            scope=format_scope(at_own),
            resource="\n".join(f"{identifier} {format_scope(listed)}" for identifier, listed in lines.items()),
        )

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that was allowed anywhere, for people to read."""
        listed = (scope for scopes in self._lines("").values() for scope in scopes)
        return tuple(dict.fromkeys(listed))

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(identifier for identifier in self._lines("") if identifier)

    def _lines(self, own: str) -> dict[str, tuple[str, ...]]:
        lines = {own: parse_scope(self.scope)} if self.scope else {}
        for line in self.resource.splitlines():
            identifier, _, scopes = line.partition(" ")
            lines[identifier] = parse_scope(scopes)
        return lines
