"""Photo Box: the authorization server, and the API that its tokens open."""

from __future__ import annotations

from ..environment import directory, required
from .base import *  # noqa: F403
from .base import templates

ROOT_URLCONF = "example_project.server_site.urls"
TEMPLATES = templates("server_site")
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory() / "server.sqlite3"}}
# The two sites share a host, and a browser's cookies know no ports: each site has names of its own.
SESSION_COOKIE_NAME = "server_session"
CSRF_COOKIE_NAME = "server_csrf"
PKCE_AUTH = {
    "ISSUER": required("EXAMPLE_SERVER_URL"),
    "SCOPES": {
        # An app that may not know whose photos they are has no use for the others.
        "profile": {"words": "See your name", "required": True},
        "photos": "See your photos",
    },
}
