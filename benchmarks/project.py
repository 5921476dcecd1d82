"""A side's Django project, started in this process: what all programs in its own interpreter begin with."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import django


def start() -> Any:
    """Set Django up; return the side's module ``content``."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    return import_module(f"benchmarks.sides.{os.environ['BENCH_SIDE']}.content")


def make_tables() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    # The floor and Authlib's example have no migrations; their tables point to others, which must be there first.
    call_command("migrate", run_syncdb=True, verbosity=0)
