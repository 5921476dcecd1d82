from __future__ import annotations

from hypothesis import settings

# A loaded machine must not turn a slow example into a failure: these tests are about values, not about time.
settings.register_profile("protocol", deadline=None)
settings.load_profile("protocol")
