"""The signatures that access tokens may have (RFC 9068 §2.1), for the side that signs and the side that verifies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from joserfc.jws import JWSRegistry

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105  (RFC 9068 §2.1)
MIN_RSA_BITS: Final = 2048
ALGORITHMS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
    ("RSA", ""): ("PS256", "RS256"),
}
"""Key type and curve → what such a key may sign; a JWT's own word only chooses among these (RFC 8725 §3.1).

``Ed25519`` is the newer name of what ``EdDSA`` does with such a key (RFC 9864).
"""


@lru_cache(maxsize=16)
def registry(algorithms: Collection[str]) -> JWSRegistry:
    """Return joserfc's registry of ``algorithms`` and no others, which says nothing of EdDSA's newer name."""
    from joserfc.errors import UnsupportedAlgorithmError
    from joserfc.jws import JWSRegistry

    class Allowed(JWSRegistry):
        def get_alg(self, name: str) -> Any:
            if name not in algorithms:
                raise UnsupportedAlgorithmError(f"{name} is not among {', '.join(algorithms)}.")
            return self.algorithms[name]

    return Allowed(algorithms=list(algorithms))
