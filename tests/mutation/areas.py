"""What is mutated, and which tests are to notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Area:
    """``modules`` are paths within the package; ``tests`` what pytest is told to run of tests/.

    ``fresh`` are those modules that work when they are imported, or keep what they made when first asked: a mutant of
    theirs is tested after they are imported again. ``compiling`` are those whose functions say what a statement is
    compiled of: before a mutant of theirs is tested, what was compiled is forgotten.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    compiling: tuple[str, ...] = ()


SERVER: Final = (
    "authorize",
    "authenticate",
    "issue",
    "revoke",
    "consent",
    "purge",
    "sign_in",
    "throttle",
    "resources",
    "remembered",
    "scopes",
    "device",
    "live_tokens",
    "lookups",
    "grants/authorization_code",
    "grants/client_credentials",
    "grants/device_code",
    "grants/refresh_token",
)
CLIENT: Final = ("attempts", "flow", "refresh", "told_to_wait", "disconnect", "login", "connections", "rotate")
AREAS: Final = {
    # test_package looks at what is imported, which the mutants add to.
    "protocol": Area(("protocol/*.py",), ("protocol", "--ignore=tests/protocol/test_package.py")),
    "server": Area(
        tuple(f"server/{name}.py" for name in SERVER),
        ("server", "flows/test_four_steps.py", "--ignore-glob=tests/server/test_admin*"),
        fresh=("server.live_tokens", "server.lookups"),
        compiling=("server.consent", "server.grants.device_code", "server.grants.refresh_token"),
    ),
    "client": Area(
        tuple(f"client/{name}.py" for name in CLIENT),
        ("client", "test_encryption.py", "fuzz/test_connection_life.py"),
    ),
}
