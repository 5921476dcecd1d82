"""One Django project, whichever side answers: ``BENCH_SIDE`` names it, ``BENCH_DATABASE`` where its tables are.

``BENCH_DATABASE`` is the path of a SQLite file, or ``postgres:`` and a name; PGHOST, PGPORT, PGUSER and PGPASSWORD say
where that is.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

SIDE = os.environ["BENCH_SIDE"]
_DATABASE = os.environ.get("BENCH_DATABASE", ":memory:")
_side: Any = import_module(f"benchmarks.sides.{SIDE}.project")

DEBUG = False
SECRET_KEY = "for benchmarks only, and the same on every side of them"
ALLOWED_HOSTS = ["server.example", "127.0.0.1"]
# As behind a proxy that speaks TLS.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = f"benchmarks.sides.{SIDE}.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
if _DATABASE.startswith("postgres:"):
    _NAMED = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _DATABASE.removeprefix("postgres:"),
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "OPTIONS": {
            "application_name": f"bench_{os.environ.get('BENCH_CONNECTION', SIDE)}",
            # The driver may prepare statements: no pooler is between. None, which is Django's own: it may not.
            "prepare_threshold": None if os.environ.get("BENCH_PREPARE") == "0" else 5,
        },
    }
else:
    _NAMED = {"ENGINE": "django.db.backends.sqlite3", "NAME": _DATABASE}
# Connections that persist, as in production.
DATABASES = {"default": {**_NAMED, "CONN_MAX_AGE": None}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *_side.APPS,
]
# Bare for the endpoints that programs call; with what a page needs where people sign in.
MIDDLEWARE = (
    [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    if os.environ.get("BENCH_MIDDLEWARE") == "pages"
    else []
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
# Faults are told on standard error; nobody gets mail.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}},
}
vars().update(_side.SETTINGS)
