from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth import discovery
from django_pkce_auth.client import refresh
from django_pkce_auth.client.models import Connection
from tests.client.acme import Acme, InProcessPolicy, connect


@pytest.fixture
def pkce_auth(settings: Any) -> Any:
    """Change ``PKCE_AUTH``; ``provider(slug, …)`` changes or adds one entry, and None takes a key out."""

    def change(**changes: object) -> None:
        settings.PKCE_AUTH = settings.PKCE_AUTH | changes

    def provider(slug: str = "acme", **changes: object) -> None:
        entry = settings.PKCE_AUTH["PROVIDERS"].get(slug, {}) | changes
        kept = {key: value for key, value in entry.items() if value is not None}
        change(PROVIDERS=settings.PKCE_AUTH["PROVIDERS"] | {slug: kept})

    change.provider = provider  # type: ignore[attr-defined]
    return change


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh is tried once, but where a test is about the tries."""
    monkeypatch.setattr(refresh, "BACKOFF_SECONDS", ())


@pytest.fixture(autouse=True)
def acme(pkce_auth: Any) -> Iterator[Acme]:
    provider = Acme()
    provider.tokens()
    provider.account()
    InProcessPolicy.current = provider
    pkce_auth(CLIENT_POLICY="tests.client.acme.InProcessPolicy")
    discovery._documents.clear()
    yield provider
    discovery._documents.clear()


@pytest.fixture
def bob(django_user_model: Any, db: None) -> Any:
    return django_user_model.objects.create_user(username="bob", password="builder")


@pytest.fixture
def connection(signed_in: Browser) -> Connection:
    """Alice's connection to Acme, made a moment ago."""
    assert connect(signed_in).status_code == 302
    return Connection.objects.get()


class Log:
    """What was logged, with every attribute that a formatter could print."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def text(self) -> str:
        return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in self._caplog.records)

    @property
    def reasons(self) -> list[str]:
        """Why attempts ended, in their order."""
        return [record.reason for record in self._caplog.records if hasattr(record, "reason")]

    @property
    def errors(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO, logger="django_pkce_auth")
    return Log(caplog)
