"""``python -m benchmarks [NAME …]``: these benchmarks, or all of them, one after the other; the whole takes hours.

``--short`` is what CI runs: instructions a request of ours and of the floor, with the goals asserted.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any, Final

NAMES: Final = ("instructions", "startup", "servers", "size", "growth", "purge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    if options.short:
        _run("instructions", ["--short"])
        return
    for name in options.names or NAMES:
        _run(name, ["--kind", "public", "--kind", "confidential"] if name == "instructions" else [])


def _run(name: str, arguments: list[str]) -> None:
    module: Any = import_module(f"benchmarks.{name}")
    print(f"===== {name}", flush=True)
    module.main(arguments)


if __name__ == "__main__":
    main()
