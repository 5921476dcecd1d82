"""The only place that draws randomness or hashes a secret.

Every secret here is generated with 256 bits, so one SHA-256 is enough: a slow password hash defends guessable
passwords, and there are none (RFC 6819 §5.1.4.1.3). Prefixes let leak scanners recognise what they find.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as _random
from typing import Final

ACCESS_TOKEN: Final = "pkce_at_"  # noqa: S105  (a prefix)
REFRESH_TOKEN: Final = "pkce_rt_"  # noqa: S105
AUTHORIZATION_CODE: Final = "pkce_ac_"
DEVICE_CODE: Final = "pkce_dc_"
CLIENT_SECRET: Final = "pkce_cs_"  # noqa: S105
PREFIXES: Final = (ACCESS_TOKEN, REFRESH_TOKEN, AUTHORIZATION_CODE, DEVICE_CODE, CLIENT_SECRET)
DIGEST_BYTES: Final = 32
MIN_PROVISIONED_CHARACTERS: Final = 32
"""What is accepted from elsewhere as a generated secret: 32 characters, 128 bits where they are hexadecimal."""


def generate(prefix: str = "") -> str:
    """Return ``prefix`` and 43 URL-safe characters that hold 256 random bits."""
    return prefix + _random.token_urlsafe(32)


def generate_from(alphabet: str, length: int) -> str:
    """Return ``length`` random characters of ``alphabet``, for codes that people type."""
    return "".join(_random.choice(alphabet) for _ in range(length))


def up_to(most: float) -> float:
    """Return a random number between 0 and ``most``."""
    return _random.SystemRandom().uniform(0, most)


def digest(raw: str) -> bytes:
    """Return the 32 bytes under which ``raw`` is stored and looked up."""
    return hashlib.sha256(raw.encode("utf-8")).digest()


def same(one: bytes, other: bytes) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(one, other)


def is_ours(presented: str) -> bool:
    """True for what begins as our secrets do: sent as anything else, it must not be repeated."""
    return presented.startswith(PREFIXES)


def fingerprint(stored: bytes) -> str:
    """Return the first 12 hexadecimal digits of a digest: enough to tell two secrets apart, useless as either."""
    return stored.hex()[:12]
