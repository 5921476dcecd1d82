"""The server's rows in Django admin; importing this registers them. Nothing else of the package imports it."""

from .audit import AuditEntryAdmin
from .clients import ClientAdmin
from .consents import ConsentAdmin
from .families import TokenFamilyAdmin
from .signing_keys import SigningKeyAdmin
from .tokens import AccessTokenAdmin, RefreshTokenAdmin

__all__ = [
    "AccessTokenAdmin",
    "AuditEntryAdmin",
    "ClientAdmin",
    "ConsentAdmin",
    "RefreshTokenAdmin",
    "SigningKeyAdmin",
    "TokenFamilyAdmin",
]
