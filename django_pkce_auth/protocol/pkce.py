"""Proof Key for Code Exchange, S256 only (RFC 7636; OAuth 2.1 removed ``plain``)."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode

from .errors import INVALID_GRANT, INVALID_REQUEST, OAuthError

S256 = "S256"
CODE_CHALLENGE_METHODS = (S256,)

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def code_challenge(code_verifier: str) -> str:
    """Return the S256 challenge: 43 characters of unpadded base64url (RFC 7636 §4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_challenge(challenge: str | None, method: str | None) -> str:
    """Return the challenge if it is an S256 one; raises OAuthError ``invalid_request`` (RFC 7636 §4.4.1)."""
    if challenge is None:
        raise OAuthError(INVALID_REQUEST, "code_challenge is missing; PKCE with S256 is required (RFC 7636).")
    if method is None:
        raise OAuthError(INVALID_REQUEST, "code_challenge_method is missing; send S256.")
    if method == "plain":
        raise OAuthError(INVALID_REQUEST, "code_challenge_method plain is not accepted; send S256.")
    if method != S256:
        raise OAuthError(INVALID_REQUEST, "code_challenge_method is not one that this server knows; send S256.")
    if len(challenge) != 43:
        raise OAuthError(
            INVALID_REQUEST, f"code_challenge has {len(challenge)} characters; S256 gives exactly 43, without padding."
        )
    if not _CHALLENGE.match(challenge):
        raise OAuthError(INVALID_REQUEST, "code_challenge may hold only A-Z, a-z, 0-9, - and _ (base64url).")
    return challenge


def check_verifier(verifier: str) -> str:
    """Return the verifier if it has the form of RFC 7636 §4.1; raises OAuthError ``invalid_request``."""
    if not 43 <= len(verifier) <= 128:
        raise OAuthError(INVALID_REQUEST, f"code_verifier has {len(verifier)} characters, needs 43 to 128.")
    if not _VERIFIER.match(verifier):
        raise OAuthError(INVALID_REQUEST, "code_verifier may hold only A-Z, a-z, 0-9, and the four signs - . _ ~")
    return verifier


def verify(verifier: str, challenge: str) -> None:
    """Raise OAuthError ``invalid_grant`` unless ``challenge`` was made from ``verifier`` (RFC 7636 §4.6)."""
    if not hmac.compare_digest(code_challenge(verifier), challenge):
        raise OAuthError(INVALID_GRANT, "code_verifier does not match the code_challenge of the authorization request.")
