"""The same tests on SQLite in a file, which several connections share; the default run's is in memory."""

import tempfile
from pathlib import Path

from tests.settings import *  # noqa: F403

_FILE = Path(tempfile.gettempdir()) / "pkce_auth_tests.sqlite3"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FILE,
        "OPTIONS": {"timeout": 60},
        "TEST": {"NAME": _FILE.with_name(f"test_{_FILE.name}")},
    }
}
