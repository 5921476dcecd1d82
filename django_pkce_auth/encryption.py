"""The key ring: the first key encrypts, every key decrypts (``PKCE_AUTH["ENCRYPTION_KEYS"]``)."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from . import conf

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

logger = logging.getLogger("django_pkce_auth")


class Unreadable(str):
    """What stands for a stored text that no key of the ring opens: an empty string that says so."""

    __slots__ = ()


UNREADABLE: Final = Unreadable()


def encrypt(clear: str) -> str:
    """Return the Fernet token of ``clear``; raises ImproperlyConfigured where no key is set."""
    return _ring(conf.settings().encryption_keys).encrypt(clear.encode()).decode("ascii")


def decrypt(stored: str) -> str:
    """Return the clear text, or ``UNREADABLE`` with an error in the log where no key opens it."""
    from cryptography.fernet import InvalidToken

    try:
        return _ring(conf.settings().encryption_keys).decrypt(stored.encode()).decode()
    except InvalidToken:
        logger.error("A stored secret can't be decrypted: none of PKCE_AUTH['ENCRYPTION_KEYS'] opens it.")
        return UNREADABLE


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    # Imported late: a project that is only an authorization server never loads it.
    from cryptography.fernet import Fernet, MultiFernet

    if not keys:
        raise conf.missing("ENCRYPTION_KEYS")
    return MultiFernet([Fernet(key) for key in keys])
