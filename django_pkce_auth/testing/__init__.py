"""Helpers for the tests of projects that use this app; nothing of it is imported while the app runs.

``fake_provider`` is another authorization server without a network, ``bearer_client`` a test client with an access
token. With pytest both are fixtures, found by an entry point.
"""

from __future__ import annotations

from .provider import FakeProvider, fake_provider
from .tokens import async_bearer_client, bearer_client, issue_access_token

__all__ = ["FakeProvider", "async_bearer_client", "bearer_client", "fake_provider", "issue_access_token"]
