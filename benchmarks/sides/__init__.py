"""The four that are compared. Each has ``project`` (apps and settings), ``urls``, and ``content`` (what is stored)."""

from __future__ import annotations

import os
import sys
from typing import Final

SIDES: Final = ("ours", "floor", "toolkit", "authlib")
TITLES: Final = {
    "ours": "django_pkce_auth",
    "floor": "floor",
    "toolkit": "django-oauth-toolkit",
    "authlib": "Authlib",
}


def python_of(side: str) -> str | None:
    """Return the interpreter that has the side's packages, or None where there is none: it is left out then."""
    if side in ("ours", "floor"):
        return sys.executable
    return os.environ.get(f"BENCH_{side.upper()}_PYTHON") or None
