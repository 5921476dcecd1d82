"""The project of the tests as server processes run it: ``SERVED`` holds, as JSON, what differs from ``SERVED_BASE``."""

import json
import os
from importlib import import_module

_base = import_module(os.environ["SERVED_BASE"])
globals().update({name: value for name, value in vars(_base).items() if name.isupper()})

_changes = json.loads(os.environ["SERVED"])
# Connections that stay open, as behind a busy server; one that broke is found out when it is used next.
DATABASES = {
    alias: {"CONN_MAX_AGE": 600, **entry, **_changes.get("DATABASES", {}).get(alias, {})}
    for alias, entry in _base.DATABASES.items()
}
PKCE_AUTH = {**_base.PKCE_AUTH, **_changes.pop("PKCE_AUTH", {})}
globals().update({name: value for name, value in _changes.items() if name != "DATABASES"})
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "django_pkce_auth": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
