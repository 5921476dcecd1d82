"""What can go wrong between this project and a provider, by who can mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote_plus


class ConnectError(Exception):
    """Base of the client side's errors. ``str()`` is safe to log and to show; it holds no secret."""


class ProviderUnavailable(ConnectError):
    """The provider did not answer, or not usably. Nothing was changed; a later try can succeed.

    ``retry_after`` is in seconds where the provider said so, else 0.
    """

    def __init__(self, text: str, *, retry_after: int = 0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ReconnectRequired(ConnectError):
    """The provider no longer honours the connection: only its user can mend it, by connecting again."""


class LoginRefused(ConnectError):
    """Nobody was logged in; the text is shown to the visitor, and tells why and what to do."""


class ProviderRefused(ConnectError):
    """The provider answered with an OAuth error; ``error`` is its code and ``description`` its own words.

    Where those repeat one of the ``secrets`` that it was sent, or have a run of characters as long as a token,
    ``str()`` leaves it out.
    """

    def __init__(self, error: str, description: str = "", *, secrets: Iterable[str | None] = ()) -> None:
        self.error = error
        self.description = description
        super().__init__(_without(secrets, f"{error}: {description}" if description else error))


_LONG_RUN = re.compile(r"[^\s:/?&=]{32,}")


def _without(secrets: Iterable[str | None], text: str) -> str:
    for secret in secrets:
        if secret and len(secret) >= 6:
            text = text.replace(secret, "...").replace(quote_plus(secret), "...")
    return _LONG_RUN.sub("...", text)
