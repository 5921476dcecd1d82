"""How long the machines run: seconds in the default suite, as long as ``FUZZ_EXAMPLES`` says by ``tox run -e fuzz``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def examples(usual: int) -> settings:
    """Return the profile of a machine that has ``usual`` examples in the default suite."""
    asked = os.environ.get("FUZZ_EXAMPLES")
    return settings(
        max_examples=int(asked) if asked else usual,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
