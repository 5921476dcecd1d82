"""The form encoding that every OAuth message travels in, read strictly (RFC 6749 §3.1, §3.2 and appendix B)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode

from .errors import INVALID_REQUEST, OAuthError

MAX_MESSAGE_BYTES = 16_384
MAX_PARAMETERS = 64
MAX_VALUE_CHARACTERS = 4_096
REPEATABLE = frozenset({"resource"})  # RFC 8707 §2

_VSCHAR = re.compile(r"[\x20-\x7e]*\Z")  # RFC 6749 appendix A
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one message; its ``repr`` shows none of them, as any may be a secret."""

    values: Mapping[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def parse(cls, encoded: str | bytes) -> Self:
        """Read a query string or a form body of at most 16,384 bytes.

        Raises OAuthError ``invalid_request`` for what is too long, not UTF-8, holds NUL, has a broken percent escape
        or names a parameter twice (RFC 6749 §3.1). A parameter without a value counts as left out, as the RFC says.
        """
        return cls(_collect(_split(_ascii(encoded))))

    @classmethod
    def of(cls, **values: str) -> Self:
        return cls({name: (value,) for name, value in values.items() if value})

    def get(self, name: str) -> str | None:
        """Return the value, or None where the parameter was left out."""
        values = self.values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def visible(self, name: str) -> str | None:
        """Like ``get``, for values that RFC 6749 appendix A restricts to printable ASCII (VSCHAR)."""
        value = self.get(name)
        if value is not None and not _VSCHAR.match(value):
            raise OAuthError(INVALID_REQUEST, f"{name} holds a character outside printable ASCII; send it without.")
        return value

    def require(self, name: str) -> str:
        """Like ``visible``; raises OAuthError ``invalid_request`` where the parameter is missing."""
        value = self.visible(name)
        if value is None:
            raise OAuthError(INVALID_REQUEST, f"{name} is missing; this request needs it.")
        return value


def encode(pairs: Iterable[tuple[str, str | None]]) -> str:
    """Return the form encoding of ``pairs``, leaving out those whose value is None or empty."""
    # A space as %20, not +: scripts that decode only percent signs read it too.
    return urlencode([(name, value) for name, value in pairs if value], quote_via=quote)


def add_to_query(uri: str, pairs: Iterable[tuple[str, str | None]]) -> str:
    """Return ``uri`` with ``pairs`` behind its own query, which stays as it is (RFC 6749 §3.1.2)."""
    query = encode(pairs)
    if not query:
        return uri
    joint = "?" if "?" not in uri else "" if uri.endswith(("?", "&")) else "&"
    return f"{uri}{joint}{query}"


def _ascii(encoded: str | bytes) -> str:
    if len(encoded) > MAX_MESSAGE_BYTES:
        raise OAuthError(
            INVALID_REQUEST, f"The parameters have {len(encoded)} bytes; at most {MAX_MESSAGE_BYTES} are read."
        )
    try:
        text = encoded.decode("ascii") if isinstance(encoded, bytes) else encoded.encode("ascii").decode()
    except UnicodeError:
        raise OAuthError(
            INVALID_REQUEST, "The parameters hold bytes outside ASCII; percent-encode them as UTF-8."
        ) from None
    if _BAD_ESCAPE.search(text):
        raise OAuthError(INVALID_REQUEST, "A percent sign is not followed by two hexadecimal digits; encode it as %25.")
    return text


def _split(text: str) -> list[tuple[str, str]]:
    if text.count("&") >= MAX_PARAMETERS:
        raise OAuthError(INVALID_REQUEST, f"The request has more than {MAX_PARAMETERS} parameters.")
    try:
        return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise OAuthError(INVALID_REQUEST, "A percent-encoded parameter is not UTF-8; encode it as UTF-8.") from None


def _collect(pairs: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    collected: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise OAuthError(INVALID_REQUEST, f"{_shown(name)} holds a NUL character; send it without.")
        if len(value) > MAX_VALUE_CHARACTERS:
            raise OAuthError(
                INVALID_REQUEST,
                f"{_shown(name)} has {len(value)} characters; at most {MAX_VALUE_CHARACTERS} are read.",
            )
        before = collected.get(name)
        if before is not None and name not in REPEATABLE:
            raise OAuthError(INVALID_REQUEST, f"{_shown(name)} was sent more than once; send it once.")
        collected[name] = (*(before or ()), *((value,) if value else ()))
    return {name: values for name, values in collected.items() if values}


def _shown(name: str) -> str:
    # A name that is no plain word is none of ours, and is not repeated into an error text.
    return name if _NAME.match(name) else "A parameter"
