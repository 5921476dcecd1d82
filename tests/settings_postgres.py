"""The same tests on PostgreSQL; PGHOST, PGPORT, PGUSER and PGPASSWORD say where it is, PGDATABASE its name.

PG_DJANGO_OPTIONS may say, in JSON, what else Django is to be told: '{"prepare_threshold": 0}' has statements prepared.
"""

import json
import os

from tests.settings import *  # noqa: F403

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "pkce_auth"),
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "OPTIONS": json.loads(os.environ.get("PG_DJANGO_OPTIONS", "{}")),
    }
}
