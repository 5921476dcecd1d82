"""The pytest fixtures ``fake_provider`` and ``bearer_client``; imports nothing until one of them is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def fake_provider(db: None) -> Iterator[Any]:
    """A ``FakeProvider`` that is set up as the provider ``fake``."""
    from .testing import fake_provider as set_up

    with set_up() as provider:
        yield provider


@pytest.fixture
def bearer_client(db: None) -> Any:
    """The function ``bearer_client(user, scopes)``, which takes ``resource`` too."""
    from .testing import bearer_client as make

    return make
