"""The project of the tests with a replica that lags: ``REPLICAS_PRIMARY`` and ``REPLICAS_REPLICA`` name the two."""

import os
from importlib import import_module

_base = import_module(os.environ["REPLICAS_BASE"])
globals().update({name: value for name, value in vars(_base).items() if name.isupper()})

_entry = _base.DATABASES["default"]
DATABASES = {
    "default": {**_entry, "NAME": os.environ["REPLICAS_PRIMARY"]},
    "replica": {**_entry, "NAME": os.environ["REPLICAS_REPLICA"]},
}
DATABASE_ROUTERS = ["tests.replicas.router.ReadsFromReplica"]
ROOT_URLCONF = "tests.replicas.urls"
