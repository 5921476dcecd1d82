"""``python -m benchmarks [--short]``: every benchmark, one after the other; ``--short`` is what CI runs."""

from __future__ import annotations

import sys

from benchmarks import instructions

if __name__ == "__main__":
    instructions.main(sys.argv[1:])
