"""Gathers the admin of both roles, where Django looks for it."""

from .server import admin as server_admin  # noqa: F401
