"""Change the code in every small way there is, and see whether the tests notice (tox run -e mutation).

``python -m tests.mutation [AREA …] [--only PATTERN …]`` lets mutmut make the mutants in a copy of the project, runs
them, prints what share was killed, and fails below 90 % or where a survivor is not in survivors.md with its reason.
The patterns may stand in ``MUTANTS`` as well.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import chdir
from difflib import ndiff
from fnmatch import fnmatch
from pathlib import Path

from mutmut.mutation.file_mutation import mutate_file_contents

from tests.mutation.areas import AREAS, Area

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "django_pkce_auth"
LISTED = HERE / "survivors.md"
LEAST = 0.9


def copy(directory: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in (PACKAGE, "tests", "example_project", "docs"):
        shutil.copytree(ROOT / name, directory / name, ignore=ignored)
    for name in ("setup.cfg", "README.md"):
        shutil.copy(ROOT / name, directory / name)
    (directory / "pyproject.toml").write_text(f'[tool.mutmut]\nsource_paths = ["{PACKAGE}"]\n')


def mutate(area: Area, directory: Path, patterns: list[str]) -> dict[str, str]:
    """Rewrite the area's modules so that they hold their mutants; return what each changes, by its name."""
    changes = {}
    for pattern in area.modules:
        for path in sorted((directory / PACKAGE).glob(pattern)):
            with chdir(directory):  # where its configuration is
                source = mutate_file_contents(str(path), path.read_text())
            path.write_text(source.code)
            module = ".".join(path.relative_to(directory).with_suffix("").parts)
            texts = _functions(source.code)
            for name in source.mutant_names:
                if not patterns or any(fnmatch(f"{module}.{name}", pattern) for pattern in patterns):
                    changes[f"{module}.{name}"] = _change(module, name, texts)
    return changes


def _functions(code: str) -> dict[str, list[str]]:
    lines, found = code.splitlines(), {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = [line.strip() for line in lines[node.lineno : node.end_lineno]]
    return found


def _change(module: str, name: str, texts: dict[str, list[str]]) -> str:
    """Return what the mutant changes, as it stands in the list: ``function: old → new``."""
    function = name.partition("__mutmut_")[0]
    difference = list(ndiff(texts[f"{function}__mutmut_orig"], texts[name]))
    old, new = (" ".join(line[2:] for line in difference if line.startswith(f"{sign} ")) for sign in "-+")
    plain = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return f"`{module.removeprefix(PACKAGE + '.')}.{plain}`: `{old}` → `{new}`"


def run(area: Area, directory: Path, mutants: list[str]) -> dict[str, str]:
    """Return what became of each mutant; raises CalledProcessError where the tests fail without any."""
    plan = {
        "mutants": {name: name.partition("__mutmut_")[0] for name in mutants},
        "fresh": [f"{PACKAGE}.{module}" for module in area.fresh],
        "compiling": [f"{PACKAGE}.{module}" for module in area.compiling],
    }
    (directory / "mutants.json").write_text(json.dumps(plan))
    tests = [test if test.startswith("-") else f"tests/{test}" for test in area.tests]
    options = ["tests.mutation.plugin", "no:randomly", "no:cacheprovider"]
    options = [word for option in options for word in ("-p", option)] + ["--hypothesis-seed=0", "-q", "--tb=no"]
    # Hypothesis draws from sets as well, whose order is the hash seed's.
    environment = os.environ | {"FUZZ_EXAMPLES": "3", "PYTHONHASHSEED": "0", "PYTHONPATH": "."}
    command = [sys.executable, "-m", "pytest", "--rootdir=.", "--nomigrations", *options, *tests]
    subprocess.run(command, cwd=directory, env=environment, check=True)
    outcomes: dict[str, str] = json.loads((directory / "outcomes.json").read_text())
    return outcomes


def report(area: str, changes: dict[str, str], outcomes: dict[str, str]) -> bool:
    """Print the share and the survivors that are not listed; return whether both are as they should be."""
    counted = Counter(outcomes.values())
    killed = counted["killed"] + counted["timeout"]  # what runs for ever is noticed
    share = killed / max(1, len(outcomes))
    print(f"{area}: {killed:,} of {len(outcomes):,} mutants killed, {share:.1%} {dict(counted)}", flush=True)
    listed = LISTED.read_text()
    survivors = [(changes[name], outcome) for name, outcome in outcomes.items() if outcome not in ("killed", "timeout")]
    unlisted = [f"- {change} ({outcome})" for change, outcome in survivors if change not in listed]
    print(*sorted(unlisted), sep="\n")
    if unlisted:
        print(f"{len(unlisted)} are not in {LISTED.relative_to(ROOT)}: test them, or say there why not.")
    return share >= LEAST and not unlisted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", default=list(AREAS), metavar="AREA", help=", ".join(AREAS))
    asked = os.environ.get("MUTANTS", "").split()
    parser.add_argument("--only", nargs="+", default=asked, metavar="PATTERN", help="mutants by name: '*.pkce.*'")
    options = parser.parse_args()
    good = True
    for area in options.areas:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            copy(directory)
            changes = mutate(AREAS[area], directory, options.only)
            if not changes:
                continue
            outcomes = run(AREAS[area], directory, list(changes))
            good = report(area, changes, outcomes) and good
    return not good


if __name__ == "__main__":
    sys.exit(main())
