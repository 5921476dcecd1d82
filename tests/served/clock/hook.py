"""A process whose clock is wrong by ``CLOCK_SECONDS``."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone


def install(application: Any) -> Any:
    """Shift every clock that the project and Django read; return the application."""
    off, real = float(os.environ["CLOCK_SECONDS"]), time.time

    def now() -> datetime:
        return datetime.fromtimestamp(real(), UTC) + timedelta(seconds=off)

    timezone.now = now
    time.time = lambda: real() + off
    return application
