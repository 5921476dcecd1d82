"""How a client says who it is at the token endpoint (RFC 6749 §2.3.1)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_plus

from .authentication_methods import CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, NONE
from .errors import INVALID_CLIENT, INVALID_REQUEST, OAuthError
from .parameters import Parameters

_VSCHAR = re.compile(r"[\x20-\x7e]+\Z")
# ASCII as well, since IGNORECASE alone lets the long s and the Kelvin sign pass for s and k.
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2}) *\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client identifier and, but for public clients, what was presented as its secret.

    ``alternatives`` holds a second reading of a Basic header: RFC 6749 wants both halves form-encoded, and many
    clients send them raw. Either reading is checked in full, so the leniency proves nothing that was not presented.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    method: str = NONE
    alternatives: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def decode(cls, authorization: str | None, parameters: Parameters) -> ClientCredentials:
        """Read the credentials from the Authorization header or the body, never from both.

        Raises OAuthError ``invalid_request`` for two methods at once and ``invalid_client`` for none or a bad header.
        """
        body_id, body_secret = parameters.visible("client_id"), parameters.visible("client_secret")
        if authorization is not None:
            if body_secret is not None:
                raise OAuthError(
                    INVALID_REQUEST, "The client authenticated by header and by body at once; use one of the two."
                )
            return cls._from_basic(authorization, body_id)
        if body_id is None:
            raise OAuthError(
                INVALID_CLIENT, "No client identification arrived; send client_id in the body, or HTTP Basic."
            )
        return cls(body_id, body_secret, NONE if body_secret is None else CLIENT_SECRET_POST)

    @classmethod
    def _from_basic(cls, authorization: str, body_id: str | None) -> ClientCredentials:
        raw = _split_basic(authorization)
        decoded = (_unquote(raw[0]), _unquote(raw[1]))
        if body_id is not None and body_id not in (raw[0], decoded[0]):
            raise OAuthError(INVALID_REQUEST, "client_id in the body is not that of the Authorization header.")
        return cls(*decoded, CLIENT_SECRET_BASIC, () if raw == decoded else (raw,))

    @property
    def has_secret(self) -> bool:
        return self.method != NONE

    def header(self) -> str:
        """Return the Authorization header of ``client_secret_basic``, both halves form-encoded as the RFC says."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret or '')}"
        return f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"

    def parameters(self) -> list[tuple[str, str | None]]:
        """Return what goes into the body: nothing beside a Basic header (RFC 6749 §2.3)."""
        if self.method == CLIENT_SECRET_BASIC:
            return []
        return [("client_id", self.client_id), ("client_secret", self.client_secret)]


def _split_basic(authorization: str) -> tuple[str, str]:
    match = _BASIC.match(authorization)
    if match is None:
        raise _malformed()
    try:
        pair = base64.b64decode(match[1], validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        raise _malformed() from None
    client_id, colon, secret = pair.partition(":")
    if not colon or not _VSCHAR.match(client_id) or not _VSCHAR.match(secret):
        raise _malformed()
    return client_id, secret


def _malformed() -> OAuthError:
    return OAuthError(
        INVALID_CLIENT, "The Authorization header is not HTTP Basic with base64 of client_id, colon and client_secret."
    )


def _unquote(value: str) -> str:
    """Undo the form encoding; a value that does not decode to printable ASCII was sent raw."""
    if "%" not in value and "+" not in value:
        return value
    try:
        decoded = unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        return value
    return decoded if _VSCHAR.match(decoded) else value
