"""Gathers the admin of both roles, where Django looks for it."""

from .client import admin as client_admin  # noqa: F401
from .server import admin as server_admin  # noqa: F401
