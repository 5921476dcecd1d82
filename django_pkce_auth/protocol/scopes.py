"""Scope values: space-separated tokens (RFC 6749 §3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from .errors import INVALID_SCOPE, OAuthError

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}\Z")
MAX_SCOPES = 100


def is_scope_token(value: str) -> bool:
    """True for one scope token of at most 100 characters (RFC 6749 appendix A.4: NQCHAR)."""
    return bool(_SCOPE_TOKEN.match(value))


# The same few values come again with every request; what is kept is bounded.
@lru_cache(maxsize=256)
def parse_scope(value: str | None) -> tuple[str, ...]:
    """Return the scope tokens in their order, each once; raises OAuthError ``invalid_scope`` for a malformed value."""
    tokens = tuple(dict.fromkeys((value or "").split(" "))) if value else ()
    tokens = tuple(token for token in tokens if token)
    if len(tokens) > MAX_SCOPES:
        raise OAuthError(INVALID_SCOPE, f"scope names {len(tokens)} scopes; at most {MAX_SCOPES} are read.")
    if not all(is_scope_token(token) for token in tokens):
        raise OAuthError(
            INVALID_SCOPE,
            "scope holds a character that no scope may have, or a scope of more than 100 characters; "
            "separate plain ASCII names by single spaces.",
        )
    return tokens


def format_scope(tokens: Iterable[str]) -> str:
    return " ".join(tokens)
