"""Print Shop: a second project whose API opens for Photo Box's tokens, though the two share nothing but its keys."""

from __future__ import annotations

from ..environment import required
from .base import *  # noqa: F403
from .base import templates

ROOT_URLCONF = "example_project.print_shop.urls"
TEMPLATES = templates("print_shop")
PKCE_AUTH = {
    "ISSUER": required("EXAMPLE_PRINT_SHOP_URL"),
    "SCOPES": {"photos": "See your photos"},
    "AUTHORIZATION_SERVER": {
        "issuer": required("EXAMPLE_SERVER_URL"),
        "verification": "jwks",
    },
}
