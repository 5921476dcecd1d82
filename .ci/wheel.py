"""Run by ``tox run -e wheel`` in an empty directory: is the installed wheel whole, and does the flow work with it?"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "django_pkce_auth"
MUST_HAVE = (
    "py.typed",
    "templates/pkce_auth/authorize.html",
    "static/pkce_auth/pkce_auth.css",
    "static/pkce_auth/popup.js",
    "migrations/0001_initial.py",
    "management/commands/pkce_client.py",
)


def main(checkout: Path) -> int:
    here = Path.cwd()
    if here == checkout or here.joinpath(PACKAGE).exists():
        return _fail(f"{here} is the checkout; run this elsewhere")
    installed = Path(sysconfig.get_path("purelib")) / PACKAGE
    found = find_spec(PACKAGE)
    if found is None or found.origin is None or Path(found.origin).parent != installed:
        return _fail(f"{PACKAGE} is imported from {found and found.origin}, not from {installed}")
    wheel, source = _files(installed), _files(checkout / PACKAGE)
    if wrong := sorted(wheel ^ source) or sorted(set(MUST_HAVE) - wheel):
        return _fail(f"the wheel and the checkout differ in {', '.join(wrong)}")
    tops = {str(file).split("/")[0] for file in distribution("django-pkce-auth").files or ()}
    if strangers := sorted(top for top in tops if not top.startswith(PACKAGE)):
        return _fail(f"the wheel also installs {', '.join(strangers)}")
    print(f"{len(wheel)} files in the wheel, imported from {installed}", flush=True)
    tests = here / "outside"
    shutil.rmtree(tests, ignore_errors=True)
    shutil.copytree(checkout / "tests", tests / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(checkout / "setup.cfg", tests)
    return subprocess.call([sys.executable, "-m", "pytest", "tests/flows"], cwd=tests)


def _files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def _fail(why: str) -> int:
    print(f"wheel: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
