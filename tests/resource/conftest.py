from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from django_pkce_auth import discovery, transport
from django_pkce_auth.resource.remote import introspection
from tests.resource.issuer import Issuer, running


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Another project's authorization server, on a real socket."""
    discovery._documents.clear()
    introspection._answers.clear()
    introspection._hanging.clear()
    transport._pool.cache_clear()
    with running() as started:
        yield started
        transport._pool(os.getpid(), False).close()
    transport._pool.cache_clear()
    discovery._documents.clear()
    introspection._answers.clear()
    introspection._hanging.clear()
