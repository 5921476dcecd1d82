from __future__ import annotations

import os

from hypothesis import settings

# A loaded machine must not turn a slow example into a failure: these tests are about values, not about time.
settings.register_profile("protocol", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")))
settings.load_profile("protocol")
