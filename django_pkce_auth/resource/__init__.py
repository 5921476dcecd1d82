"""Guarding APIs with the tokens that the server issued."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .asgi import BearerASGI
    from .decorators import require_scopes
    from .mixins import ScopesRequiredMixin

__all__ = ["BearerASGI", "ScopesRequiredMixin", "require_scopes"]

_HOMES: Final = {"BearerASGI": "asgi", "ScopesRequiredMixin": "mixins", "require_scopes": "decorators"}


def __getattr__(name: str) -> Any:
    # Imported when asked for, as models can't be imported before the apps are ready.
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
