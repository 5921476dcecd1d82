"""The one exception that an OAuth refusal is, and what of it may leave the process."""

from __future__ import annotations

import re

# RFC 6749 §5.2: error and error_description hold printable ASCII without the double quote and the backslash.
_PUBLIC_TEXT = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*\Z")

INVALID_REQUEST = "invalid_request"
INVALID_CLIENT = "invalid_client"
INVALID_GRANT = "invalid_grant"
INVALID_SCOPE = "invalid_scope"
INVALID_TARGET = "invalid_target"
UNAUTHORIZED_CLIENT = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
ACCESS_DENIED = "access_denied"
SERVER_ERROR = "server_error"
TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


class OAuthError(Exception):
    """A refusal in the words of RFC 6749 §4.1.2.1 and §5.2.

    ``error`` is the code and ``description`` the sentence for the developer at the other end; both leave the process.
    ``detail`` is for our own log only. None of the three may hold a secret. Raises ValueError for a public text
    outside the characters that the RFC allows.
    """

    def __init__(self, error: str, description: str, *, detail: str = "") -> None:
        for text in (error, description):
            if not _PUBLIC_TEXT.match(text):
                raise ValueError("error and description take printable ASCII without double quote and backslash")
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.detail = detail


def public_text(value: str, *, limit: int = 200) -> str:
    """Return at most ``limit`` characters, with a question mark for each that RFC 6749 §5.2 forbids."""
    return "".join(char if _PUBLIC_TEXT.match(char) else "?" for char in value[:limit])
