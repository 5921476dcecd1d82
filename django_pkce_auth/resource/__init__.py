"""Guarding APIs with the tokens that the server issued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .decorators import require_scopes

__all__ = ["require_scopes"]


def __getattr__(name: str) -> Any:
    # Imported when asked for, as models can't be imported before the apps are ready.
    if name == "require_scopes":
        from .decorators import require_scopes

        return require_scopes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
