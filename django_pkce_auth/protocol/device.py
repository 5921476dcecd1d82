"""The device authorization grant's messages, both ways (RFC 8628)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from .errors import INVALID_REQUEST, OAuthError
from .grant_types import DEVICE_CODE
from .parameters import Parameters
from .scopes import format_scope, parse_scope
from .token import Pairs

AUTHORIZATION_PENDING: Final = "authorization_pending"
SLOW_DOWN: Final = "slow_down"
EXPIRED_TOKEN: Final = "expired_token"  # noqa: S105  (an error code)
DEFAULT_INTERVAL_SECONDS: Final = 5
USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no letter that is read as a digit (RFC 8628 §6.1). Eight of them are 34 bits."""
USER_CODE_LENGTH: Final = 8

_USER_CODE = re.compile(rf"[{USER_CODE_LETTERS}]{{{USER_CODE_LENGTH}}}\Z")


def read_user_code(typed: str) -> str | None:
    """Return the code as it was issued, whatever the case and signs a person typed; None where it can't be one."""
    letters = "".join(char for char in typed[:100].upper() if char.isascii() and char.isalnum())
    return letters if _USER_CODE.match(letters) else None


def show_user_code(code: str) -> str:
    """Return the code in two halves, easier to read and to say: ``WDJB-MJHT``."""
    half = USER_CODE_LENGTH // 2
    return f"{code[:half]}-{code[half:]}"


@dataclass(frozen=True, slots=True)
class DeviceAuthorizationRequest:
    """What a device asks for (RFC 8628 §3.1)."""

    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def encode(self) -> Pairs:
        return [("scope", format_scope(self.scopes)), *(("resource", resource) for resource in self.resources)]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(scopes=parse_scope(parameters.get("scope")), resources=parameters.all("resource"))


@dataclass(frozen=True, slots=True)
class DeviceAuthorizationResponse:
    """The two codes: one for the device to poll with, one for the person to type. Times are in seconds (§3.2)."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    verification_uri: str
    expires_in: int
    interval: int = DEFAULT_INTERVAL_SECONDS
    verification_uri_complete: str | None = field(default=None, repr=False)

    def encode(self) -> dict[str, str | int]:
        members: dict[str, str | int | None] = {
            "device_code": self.device_code,
            "user_code": self.user_code,
            "verification_uri": self.verification_uri,
            "verification_uri_complete": self.verification_uri_complete,
            "expires_in": self.expires_in,
            "interval": self.interval,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def decode(cls, members: object) -> Self:
        """Check a parsed answer; raises OAuthError."""
        if not isinstance(members, Mapping):
            raise OAuthError(INVALID_REQUEST, "The device authorization response is not a JSON object.")
        for name in ("device_code", "user_code", "verification_uri"):
            if not isinstance(members.get(name), str) or not members[name]:
                raise OAuthError(INVALID_REQUEST, f"The device authorization response has no {name}.")
        complete = members.get("verification_uri_complete")
        return cls(
            device_code=members["device_code"],
            user_code=members["user_code"],
            verification_uri=members["verification_uri"],
            expires_in=_seconds(members.get("expires_in"), 0),
            interval=_seconds(members.get("interval"), DEFAULT_INTERVAL_SECONDS),
            verification_uri_complete=complete if isinstance(complete, str) else None,
        )


@dataclass(frozen=True, slots=True)
class DeviceTokenRequest:
    """The device polls for its tokens (§3.4)."""

    grant_type: ClassVar[str] = DEVICE_CODE
    device_code: str = field(repr=False)
    resources: tuple[str, ...] = ()

    def encode(self) -> Pairs:
        return [
            ("grant_type", self.grant_type),
            ("device_code", self.device_code),
            *(("resource", resource) for resource in self.resources),
        ]

    @classmethod
    def decode(cls, parameters: Parameters) -> Self:
        return cls(device_code=parameters.require("device_code"), resources=parameters.all("resource"))


def _seconds(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**7 else default
