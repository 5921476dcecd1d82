"""``python -m benchmarks.prepare OPERATION KIND COUNT FILE``: a side's database, and requests of which each works once.

Runs with the side's own interpreter; ``BENCH_SIDE`` and ``BENCH_DATABASE`` as in ``benchmarks.settings``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from benchmarks.exchange import save


def main(operation: str, kind: str, count: str, file: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    content: Any = import_module(f"benchmarks.sides.{os.environ['BENCH_SIDE']}.content")
    secrets = content.populate()
    save(content.prepare(operation, kind, int(count), secrets), Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
