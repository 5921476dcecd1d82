"""What can go wrong between this project and a provider, by who can mend it."""

from __future__ import annotations


class ConnectError(Exception):
    """Base of the client side's errors. ``str()`` is safe to log and to show; it holds no secret."""


class ProviderUnavailable(ConnectError):
    """The provider did not answer, or not usably. Nothing was changed; a later try can succeed."""


class ReconnectRequired(ConnectError):
    """The provider no longer honours the connection: only its user can mend it, by connecting again."""


class ProviderRefused(ConnectError):
    """The provider answered with an OAuth error; ``error`` is its code."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(f"{error}: {description}" if description else error)
        self.error = error
        self.description = description
