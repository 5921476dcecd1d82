"""Gathers the models of both roles, where Django looks for them."""

from .client.models import ConnectAttempt, Connection, Provider
from .server.audit_entry import AuditEntry
from .server.models import (
    AccessToken,
    AuthorizationCode,
    Client,
    ClientSecret,
    Consent,
    DeviceCode,
    RedirectURI,
    RefreshToken,
    TokenFamily,
)
from .server.signing_key import SigningKey

__all__ = [
    "AccessToken",
    "AuditEntry",
    "AuthorizationCode",
    "Client",
    "ClientSecret",
    "ConnectAttempt",
    "Connection",
    "Consent",
    "DeviceCode",
    "Provider",
    "RedirectURI",
    "RefreshToken",
    "SigningKey",
    "TokenFamily",
]
