"""What ``demo.py`` tells the sites: addresses, and keys and secrets that are made anew for each run."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

from django.core.exceptions import ImproperlyConfigured


def required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: run 'python -m example_project.demo', which sets it.")
    return value


def directory() -> Path:
    """Return where the two SQLite files are."""
    return Path(os.environ.get("EXAMPLE_DIRECTORY") or gettempdir())
