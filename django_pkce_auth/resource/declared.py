"""What a class-based view declares: ``required_scopes`` and ``resource``, read alike by every integration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .guard import Requirement


def requirement(view: Any, *, method: str, action: str | None = None) -> Requirement:
    """Return what ``view`` needs for this method or, in a view set, this action.

    ``required_scopes`` is a list for all, or a mapping by action and method; HEAD needs what GET does. What the view
    has no handler for needs a token and no scope: its answer is 405. Raises ImproperlyConfigured where the view says
    nothing.
    """
    declared, resource = getattr(view, "required_scopes", None), getattr(view, "resource", None)
    if isinstance(declared, str) or not declared:
        raise ImproperlyConfigured(
            f"{_name(view)}.required_scopes is {declared!r}; list the scopes, or map methods or actions to lists."
        )
    if not isinstance(declared, Mapping):
        return _checked(view, declared, resource)
    by_name = {str(name).lower(): scopes for name, scopes in declared.items()}
    for name in (action, method, "get" if method.lower() == "head" else None):
        if name and name.lower() in by_name:
            return _checked(view, by_name[name.lower()], resource)
    if action is not None or (method.lower() != "options" and hasattr(view, method.lower())):
        raise ImproperlyConfigured(
            f"{_name(view)}.required_scopes says nothing of {action or method}; an empty list lets every token in."
        )
    return Requirement((), resource)


def _checked(view: Any, scopes: Any, resource: str | None) -> Requirement:
    try:
        if isinstance(scopes, str):
            raise ValueError(f"{scopes!r} is a string; make it a list of scopes.")
        return Requirement.of(scopes, resource)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{_name(view)}.required_scopes: {error}") from None


def _name(view: Any) -> str:
    return view.__name__ if isinstance(view, type) else type(view).__name__
