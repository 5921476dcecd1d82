"""The project of the tests, deployed otherwise: ``DEPLOYMENT`` says how."""

import os
import re
from importlib import import_module

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

DEPLOYMENT = os.environ["DEPLOYMENT"]
OURS = "other" if DEPLOYMENT == "second database" else "default"
WITHOUT_ADMIN = [name for name in INSTALLED_APPS if name != "django.contrib.admin"]

USERS = {
    "UUID key in a table named t1": "accounts.UUIDUser",
    "string key in a table with ON in its name": "accounts.NamedUser",
    "parent's key": "accounts.PartyUser",
    "key beside a parent's": "accounts.MemberUser",
    "relation as the key": "accounts.PersonUser",
    "key of a field of one's own": "accounts.KeyUser",
    # What PostgreSQL is not told of a parameter it must find out.
    "prepared statements": "accounts.KeyUser",
    "parameters bound by the server": "accounts.UUIDUser",
}
OPTIONS = {
    "prepared statements": {"prepare_threshold": 0},
    "parameters bound by the server": {"server_side_binding": True},
}
_entry = import_module(os.environ["DEPLOYMENT_BASE"]).DATABASES["default"]
if not _entry["ENGINE"].endswith("sqlite3"):
    # On the server of the test run, in a database of its own.
    _name = f"test_{_entry['NAME']}_{re.sub(r'[^a-z]+', '_', DEPLOYMENT.lower())}"
    DATABASES = {"default": {**_entry, "TEST": {**_entry.get("TEST", {}), "NAME": _name}}}
if DEPLOYMENT in OPTIONS:
    DATABASES = {"default": {**DATABASES["default"], "OPTIONS": OPTIONS[DEPLOYMENT]}}
if DEPLOYMENT in USERS:
    # The admin needs permissions, which these bare users do not have.
    INSTALLED_APPS = [*WITHOUT_ADMIN, "tests.deployments.accounts"]
    AUTH_USER_MODEL = USERS[DEPLOYMENT]
if DEPLOYMENT == "no admin":
    INSTALLED_APPS = WITHOUT_ADMIN
if "django.contrib.admin" not in INSTALLED_APPS:
    ROOT_URLCONF = "tests.deployments.urls"
if DEPLOYMENT == "second database":
    DATABASES = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:other?mode=memory&cache=shared"},
    }
    DATABASE_ROUTERS = ["tests.deployments.router.AllToOther"]
if DEPLOYMENT == "ATOMIC_REQUESTS":
    DATABASES = {"default": {**DATABASES["default"], "ATOMIC_REQUESTS": True}}
if DEPLOYMENT == "cookie sessions":
    SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
if DEPLOYMENT == "cookie CSRF in the session":
    CSRF_USE_SESSIONS = True
MIDDLEWARE = list(MIDDLEWARE)
