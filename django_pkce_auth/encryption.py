"""The key ring: the first key encrypts, every key decrypts (``PKCE_AUTH["ENCRYPTION_KEYS"]``)."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

from . import conf

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

logger = logging.getLogger("django_pkce_auth")


class Unreadable(str):
    """What stands for a stored text that no key of the ring opens: an empty string that says so.

    ``stored`` is what the database holds. Saving the row writes just that again, so that a key that is found after
    all still opens it.
    """

    __slots__ = ("stored",)
    stored: str

    def __new__(cls, stored: str) -> Unreadable:
        self = super().__new__(cls)
        self.stored = stored
        return self


def encrypt(clear: str) -> str:
    """Return the Fernet token of ``clear``; raises ImproperlyConfigured where no key is set."""
    return _ring(conf.settings().encryption_keys).encrypt(clear.encode()).decode("ascii")


def decrypt(stored: str) -> str:
    """Return the clear text, or ``Unreadable`` with an error in the log where no key opens it.

    Raises ImproperlyConfigured where no key is set.
    """
    from cryptography.fernet import InvalidToken

    try:
        return _ring(conf.settings().encryption_keys).decrypt(stored.encode()).decode()
    except InvalidToken:
        logger.error("A stored secret can't be decrypted: none of PKCE_AUTH['ENCRYPTION_KEYS'] opens it.")
        return Unreadable(stored)


def rotate(stored: str) -> tuple[str, str | None]:
    """Return what became of a stored text, and its new form: ``current`` needs none, ``unreadable`` has none.

    ``rotated`` is the text under the first key. Raises ImproperlyConfigured where no key is set.
    """
    from cryptography.fernet import Fernet, InvalidToken

    keys = conf.settings().encryption_keys
    ring = _ring(keys)
    try:
        Fernet(keys[0]).decrypt(stored.encode())
    except InvalidToken:
        try:
            return "rotated", ring.rotate(stored.encode()).decode("ascii")
        except InvalidToken:
            return "unreadable", None
    return "current", None


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    # Imported late: a project that is only an authorization server never loads it.
    from cryptography.fernet import Fernet, MultiFernet

    if not keys:
        raise conf.missing("ENCRYPTION_KEYS")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ImproperlyConfigured(
            "A key of PKCE_AUTH['ENCRYPTION_KEYS'] is none: a key is 32 bytes in URL-safe base64."
        ) from None
