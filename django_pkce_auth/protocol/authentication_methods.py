"""The names of the ways in which a client authenticates (RFC 7591 §2, RFC 6749 §2.3.1)."""

from __future__ import annotations

from typing import Final

CLIENT_SECRET_BASIC: Final = "client_secret_basic"  # noqa: S105  (a method's name)
CLIENT_SECRET_POST: Final = "client_secret_post"  # noqa: S105
NONE: Final = "none"
AUTHENTICATION_METHODS: Final = (CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, NONE)
