"""A project that keeps everything in a database of its own name, as its router says.

``@pytest.mark.django_db(databases=["other"])`` and ``DATABASE_ROUTERS = ["tests.second_database.Router"]``: whatever
of ours asks the default database, or reads where the router sends reads instead of where it writes, fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.dispatch import Signal
from django.test import TestCase

ALIAS = "other"
only_there = [
    pytest.mark.django_db(databases=[ALIAS]),
    pytest.mark.skipif(ALIAS not in connections, reason="these settings have one database"),
]


class Router:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default" if model._meta.app_label == "pkce_auth" else ALIAS

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return ALIAS if model._meta.managed else "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


@contextmanager
def told(watched: Mapping[str, Signal]) -> Iterator[list[str]]:
    """Yield the names of the signals that the block sends: none before the commit in this database, all after it."""
    names: list[str] = []
    receivers = {name: lambda name=name, **_: names.append(name) for name in watched}
    for name, receiver in receivers.items():
        watched[name].connect(receiver)
    try:
        with TestCase.captureOnCommitCallbacks(using=ALIAS) as callbacks:
            yield names
        assert not names
        for callback in callbacks:
            callback()
    finally:
        for name, receiver in receivers.items():
            watched[name].disconnect(receiver)
