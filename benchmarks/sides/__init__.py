"""The four that are compared. Each has ``project`` (apps and settings), ``urls``, and ``content`` (what is stored)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SIDES: Final = ("ours", "floor", "toolkit", "authlib")
TITLES: Final = {
    "ours": "django_pkce_auth",
    "floor": "floor",
    "toolkit": "django-oauth-toolkit",
    "authlib": "Authlib",
}


def python_of(side: str) -> str | None:
    """Return the interpreter that has the side's packages, or None where there is none: it is left out then.

    The others' are named by ``BENCH_TOOLKIT_PYTHON`` and ``BENCH_AUTHLIB_PYTHON``, or made below ``BENCH_VENVS`` when
    they are first asked for: packages that know nothing of ours are installed apart from it.
    """
    if side in ("ours", "floor"):
        return sys.executable
    if named := os.environ.get(f"BENCH_{side.upper()}_PYTHON"):
        return named
    if not (venvs := os.environ.get("BENCH_VENVS")):
        return None
    python = Path(venvs, side, "bin", "python")
    if not python.exists():
        requirements = Path(__file__).parent / side / "requirements.txt"
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True)
    return str(python)
