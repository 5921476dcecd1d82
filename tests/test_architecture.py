"""Who may import whom, read off the syntax trees; the rule is one table, and it only points downwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_pkce_auth

PACKAGE = Path(django_pkce_auth.__file__).parent
NAME = "django_pkce_auth"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)

SHARED = {
    "addresses",
    "authorization_server",
    "compiled",
    "conf",
    "deadline",
    "discovery",
    "encryption",
    "error_reports",
    "expiry",
    "fields",
    "flags",
    "instances",
    "jose",
    "joins",
    "json_object",
    "later",
    "look_up",
    "metrics",
    "outages",
    "prepared",
    "presets",
    "primary",
    "provider_settings",
    "published",
    "reading",
    "redirects",
    "resource_registry",
    "scope_registry",
    "secrets",
    "signals",
    "statement",
    "transport",
    "writing",
}
# What each room may import of ours: the rooms named here, and itself.
ROOMS: dict[str, set[str]] = {
    "protocol": set(),
    "presets": set(),
    "addresses": set(),
    "flags": set(),
    "provider_settings": {"protocol", "addresses", "flags", "presets"},
    "resource_registry": {"protocol", "addresses"},
    "authorization_server": {"addresses"},
    "prepared": set(),
    "statement": {"prepared"},
    "compiled": {"instances", "joins", "statement"},
    "json_object": set(),
    "joins": {"statement"},
    "instances": set(),
    "reading": {"compiled", "statement"},
    "writing": {"compiled", "statement"},
    "conf": {"addresses", "authorization_server", "flags", "provider_settings", "resource_registry", "scope_registry"},
    "signals": set(),
    "metrics": {"conf", "signals"},
    "secrets": set(),
    "scope_registry": {"flags"},
    "error_reports": set(),
    "look_up": set(),
    "deadline": {"look_up"},
    "expiry": {"compiled", "outages", "statement"},
    "outages": {"secrets"},
    "primary": set(),
    "published": {"secrets"},
    "encryption": {"protocol", "conf"},
    "transport": {"protocol", "addresses", "deadline", ""},  # "" is the package itself: its version
    "discovery": {"protocol", "addresses", "transport"},
    "jose": set(),
    "later": set(),
    "fields": {"protocol", "conf", "secrets", "encryption"},
    "redirects": {"protocol", "conf"},
    "server": {"protocol", *SHARED},
    "client": {"protocol", *SHARED},
    "pytest_plugin": {"testing"},
    "testing": {"protocol", *SHARED, "client", "server"},
    "resource": {"protocol", *SHARED, "server.models", "server.live_tokens", "server.last_used"},
}
CLOCK_AND_CHANCE = {"time", "random", "os", "socket", "secrets", "uuid", "asyncio", "threading", "subprocess", "io"}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the dotted names that a module imports, absolute, whatever block they stand in."""
    parts = (NAME, *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts if path.name == "__init__.py" else parts[:-1]
    if path.name == "__init__.py":
        package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            # ``from . import x`` and ``from .package import module`` name modules too.
            for alias in node.names:
                inner = PACKAGE.joinpath(*module.split(".")[1:], alias.name)
                is_module = module.startswith(NAME) and (inner.is_dir() or inner.with_suffix(".py").exists())
                yield (f"{module}.{alias.name}" if is_module else module), node.lineno


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def ours(name: str) -> str | None:
    """Return the part behind our own name, or None for a module of others."""
    return name.removeprefix(NAME).strip(".") if name.split(".")[0] == NAME else None


GUARDED = [path for path in MODULES if room_of(path) in ROOMS]


@pytest.mark.parametrize("path", GUARDED, ids=ids)
def test_room_imports_only_what_lies_below_it(path: Path) -> None:
    room = room_of(path)
    for name, line in imports(path):
        inner = ours(name)
        if inner is None or inner.split(".")[0] == room:
            continue
        allowed = any(inner == below or (below and inner.startswith(f"{below}.")) for below in ROOMS[room])
        assert allowed, f"{path.name}:{line}: {room} must not import {name}"


def test_every_room_is_in_the_table() -> None:
    """A new package or shared module takes its place in the table; the gatherers at the top may import all."""
    gatherers = {"__init__", "admin", "apps", "checks", "models", "urls", "management", "templatetags", "testing"}
    gatherers |= {"well_known_urls"}
    rooms = {room_of(path) for path in MODULES}
    assert rooms <= ROOMS.keys() | gatherers, rooms - ROOMS.keys() - gatherers


PROTOCOL = [path for path in MODULES if room_of(path) == "protocol"]


@pytest.mark.parametrize("path", PROTOCOL, ids=ids)
def test_protocol_needs_the_standard_library_only_and_neither_clock_nor_chance(path: Path) -> None:
    for name, line in imports(path):
        top = name.split(".")[0]
        assert top == NAME or top in sys.stdlib_module_names, f"{path.name}:{line}: {name}"
        assert top not in CLOCK_AND_CHANCE, f"{path.name}:{line}: {name}"
    source = path.read_text()
    for word in ("datetime.now", "utcnow", "date.today", "open(", "print("):
        assert word not in source, word


# The places that hash beside secrets.py: PKCE's S256 is part of the wire.
HASHING = {"protocol/pkce.py": {"hashlib", "hmac"}, "secrets.py": {"hashlib", "hmac", "secrets"}}


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_randomness_and_hashing_have_one_home(path: Path) -> None:
    used = {name for name, _ in imports(path)} & {"secrets", "hashlib", "hmac", "random", "uuid"}
    assert used <= HASHING.get(ids(path), set())


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_other_oauth_packages_are_not_used(path: Path) -> None:
    others = {"oauthlib", "authlib", "oauth2_provider", "requests", "requests_oauthlib", "allauth", "jwt"}
    assert not {name.split(".")[0] for name, _ in imports(path)} & others


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_file_is_short_and_named_after_what_it_is(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350
    assert path.stem not in {"utils", "helpers", "common", "base", "misc", "tools"}


@pytest.mark.parametrize("module", ["models", "urls", "admin", "checks", "resource.decorators"])
def test_import_loads_no_heavy_package_until_it_is_needed(module: str) -> None:
    """An authorization server never opens connections of its own and signs nothing: it loads neither."""
    program = (
        "import sys, django; django.setup()\n"
        f"import {NAME}.{module}\n"
        "heavy = {'httpx2', 'httpx', 'joserfc', 'cryptography', 'rest_framework', 'ninja'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
