"""The grants that the token endpoint knows: one file a grant, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from ...conf import Settings
from ...protocol.client_authentication import ClientCredentials
from ...protocol.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, REFRESH_TOKEN
from ...protocol.parameters import Parameters
from ...protocol.token import TokenResponse
from .authorization_code import exchange_code
from .client_credentials import exchange_client_credentials
from .device_code import exchange_device_code
from .refresh_token import exchange_refresh_token


class Grant(Protocol):
    def __call__(
        self, parameters: Parameters, credentials: ClientCredentials, *, settings: Settings, now: datetime
    ) -> TokenResponse: ...


GRANTS: Mapping[str, Callable[..., TokenResponse] | Grant] = {
    AUTHORIZATION_CODE: exchange_code,
    REFRESH_TOKEN: exchange_refresh_token,
    CLIENT_CREDENTIALS: exchange_client_credentials,
    DEVICE_CODE: exchange_device_code,
}
