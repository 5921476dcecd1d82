"""A plugin that fails each test after which a secret stands readable somewhere (``tox run -e secrets``).

``pytest -p tests.secrets_watch`` notes every value that the package generates, every text that it encrypts and every
JWT that it issues, and at the end of each test, before its rows are rolled back, looks for them in the tables of all
apps, in what the sessions decode to, in the cache, in every statement that was sent with its parameters, and in every
log record down to DEBUG: as they are, in hexadecimal and in base64, whatever stands before them.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import pytest

from django_pkce_auth import encryption, secrets

PUBLIC = {
    ("django_pkce_auth.server.issue", "_signed"),  # a JWT's ID
    ("django_pkce_auth.server.clients", "generate_client_id"),
}
"""Who generates what is no secret: module and function."""
SHORTEST_TEXT = 16
"""Texts that are encrypted and shorter than this are tests' own ("at-1"), and found by chance."""
NAMES = ("django", "django_pkce_auth")


def forms(secret: str) -> Iterator[str]:
    """Yield every form in which a secret would be readable; binary ones as latin-1."""
    raw = secret.encode()
    yield secret
    yield raw.hex()
    for before in range(3):
        # What stands before it decides where its six bits begin; the characters at the ends are not its own.
        encoded = base64.b64encode(b"\0" * before + raw)[0 if before == 0 else before + 1 : -4].decode()
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")
    random = secret[-43:]
    if len(random) == 43 and secret.isascii() and "." not in secret:
        try:
            value = base64.b64decode(random + "=", altchars=b"-_", validate=True)
        except ValueError:
            return
        yield value.decode("latin-1")
        yield value.hex()


def text(value: Any) -> str:
    value = getattr(value, "obj", value)  # psycopg's wrapper around bytes and JSON
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    if isinstance(value, dict):
        return "\n".join(map(text, value.values()))
    if isinstance(value, list | tuple):
        return "\n".join(map(text, value))
    return str(value)


@dataclass
class Watch:
    """The secrets and the places of one test, and what was counted in all of them."""

    secrets: set[str] = field(default_factory=set)
    statements: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def begin(self) -> None:
        self.secrets.clear()
        self.statements.clear()
        self.logged.clear()

    def places(self) -> Iterator[tuple[str, str]]:
        yield "log", "\n".join(self.logged)
        yield "statements", "\n".join(self.statements)
        yield "cache", "\n".join(cached())
        yield from rows()

    def found(self) -> list[str]:
        """Return each place where a secret stands, with what stands before it."""
        noted = list(self.secrets)  # a thread that outlives its test may add to them
        if not noted:
            return []
        places = list(self.places())
        self.counted["values"] += len(noted)
        self.counted["tests"] += 1
        self.counted["databases"] += any(name.startswith("table") for name, _ in places)
        self.counted["statements"] += len(self.statements)
        self.counted["records"] += len(self.logged)
        self.counted["characters"] += sum(len(content) for _, content in places)
        return [
            f"{name}: …{content[max(0, at - 80) : at]!r}<{secret[:8]}…>"
            for secret in noted
            for form in forms(secret)
            for name, content in places
            if (at := content.find(form)) >= 0
        ]


COUNTED = ("tests", "databases", "values", "statements", "records", "characters")
watch = Watch()


def cached() -> Iterator[str]:
    from django.core.cache import caches

    for cache in caches.all(initialized_only=True):
        for key, pickled in list(getattr(cache, "_cache", {}).items()):
            yield f"{key} {pickle.loads(pickled)!r}"  # noqa: S301  (our own process wrote it)


def rows() -> Iterator[tuple[str, str]]:
    """Yield every table of the test's databases with what it holds, and every session; nothing where it has none.

    By the driver's own cursor: a test may be looking at each statement that goes through Django's.
    """
    from django.apps import apps
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.db import DatabaseError, connections
    from django.test.testcases import _DatabaseFailure

    models = apps.get_models(include_auto_created=True)
    try:
        for connection in connections.all():
            if isinstance(connection.connect, _DatabaseFailure):  # not one of the test's
                continue
            connection.ensure_connection()
            tables = [connection.ops.quote_name(model._meta.db_table) for model in models]
            with connection.wrap_database_errors, closing(connection.connection.cursor()) as cursor:
                # Most are empty; together they cost one statement.
                cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {table})" for table in tables))  # noqa: S608
                for model, table in compress(zip(models, tables, strict=True), cursor.fetchone()):
                    cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
                    found = cursor.fetchall()
                    yield f"table {model._meta.db_table}", text(found)
                    if model is Session:
                        at = [column[0] for column in cursor.description].index("session_data")
                        yield "sessions", "\n".join(repr(SessionStore().decode(row[at])) for row in found)
    except RuntimeError:  # pytest-django: this test asked for no database
        return
    except DatabaseError:  # a test of broken transactions, or of a database that went away
        return


# What is noted.


def _noted(function: Callable[..., str]) -> Callable[..., str]:
    def generate(*args: Any, **named: Any) -> str:
        made = function(*args, **named)
        caller = sys._getframe(1)
        if (caller.f_globals["__name__"], caller.f_code.co_name) not in PUBLIC:
            watch.secrets.add(made)
            if len(made) == 8:  # a user code is shown in two halves
                watch.secrets.add(f"{made[:4]}-{made[4:]}")
        return made

    return generate


def _noting_jwt(function: Callable[[str], bytes]) -> Callable[[str], bytes]:
    def digest(raw: str) -> bytes:
        if raw.startswith("eyJ") and raw.count(".") == 2:
            watch.secrets |= {raw, raw.rpartition(".")[2]}
        return function(raw)

    return digest


def _noting_text(function: Callable[[str], str]) -> Callable[[str], str]:
    def encrypt(clear: str) -> str:
        try:
            private = json.loads(clear).get("d")
        except (ValueError, AttributeError):
            private = None
        watch.secrets |= {value for value in (clear, private) if value and len(value) >= SHORTEST_TEXT}
        return function(clear)

    return encrypt


def _replace(function: Callable[..., Any], noting: Callable[..., Any]) -> None:
    """Put ``noting`` wherever a module holds the function; Django has loaded some of them by now."""
    for module in [module for name, module in sys.modules.items() if name.startswith(("django_pkce_auth", "tests"))]:
        if getattr(module, function.__name__, None) is function:
            setattr(module, function.__name__, noting)


def _statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    watch.statements.append(f"{sql} {text(params)}")
    return execute(sql, params, many, context)


def _watch_connection(connection: Any, **_: Any) -> None:
    if _statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_statement)


class Records:
    """Every record of ours and Django's, whatever the level; what others see stays as it was."""

    def __init__(self) -> None:
        self._enabled, self._handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def install(self) -> None:
        enabled, handle = self._enabled, self._handle

        def is_enabled(logger: logging.Logger, level: int) -> bool:
            return logger.name.partition(".")[0] in NAMES or enabled(logger, level)

        def handled(logger: logging.Logger, record: logging.LogRecord) -> None:
            if logger.name.partition(".")[0] in NAMES:
                watch.logged.append(self.line(record))
            if enabled(logger, record.levelno):
                handle(logger, record)

        logging.Logger.isEnabledFor = is_enabled  # type: ignore[method-assign]
        logging.Logger.handle = handled  # type: ignore[method-assign]

    def line(self, record: logging.LogRecord) -> str:
        """Return all that a formatter can show. Django's records hold the request; error reports have their test."""
        more = {name: value for name, value in record.__dict__.items() if name not in ("request", "exc_info")}
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        return f"{record.getMessage()} {more} {trace}"


# What pytest calls.


def pytest_configure(config: pytest.Config) -> None:
    from django.db.backends.signals import connection_created

    _replace(secrets.generate, _noted(secrets.generate))
    _replace(secrets.generate_from, _noted(secrets.generate_from))
    _replace(secrets.digest, _noting_jwt(secrets.digest))
    _replace(encryption.encrypt, _noting_text(encryption.encrypt))
    connection_created.connect(_watch_connection)
    Records().install()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    watch.begin()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Look while the rows are still there, and fail when everything has been put away."""
    found = [] if item.get_closest_marker("leaks_on_purpose") else watch.found()
    yield
    if found:
        pytest.fail("secrets stand readable:\n" + "\n".join(found[:20]), pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["secrets_watch"] = watch.counted


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for name, number in getattr(node, "workeroutput", {}).get("secrets_watch", {}).items():
        watch.counted[name] += number


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counted = watch.counted
    terminalreporter.write_line(
        "secrets watch: {values} values of {tests} tests; looked at {databases} databases, {statements} statements, "
        "{records} log records; {characters} characters".format(**counted)
    )
