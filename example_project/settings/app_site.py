"""Postcards: the app whose users connect their Photo Box account, or log in with it."""

from __future__ import annotations

from ..environment import directory, required
from .base import *  # noqa: F403
from .base import MIDDLEWARE, templates

SERVER_URL = required("EXAMPLE_SERVER_URL")

ROOT_URLCONF = "example_project.app_site.urls"
TEMPLATES = templates("app_site")
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory() / "app.sqlite3"}}
SESSION_COOKIE_NAME = "app_session"
CSRF_COOKIE_NAME = "app_csrf"
# Sends the cookie that connect_url and login_url need; connect_button and login_button do without.
MIDDLEWARE = [*MIDDLEWARE, "django_pkce_auth.client.browser.ConnectLinkMiddleware"]
PKCE_AUTH = {
    "ISSUER": required("EXAMPLE_APP_URL"),
    "ENCRYPTION_KEYS": [required("EXAMPLE_ENCRYPTION_KEY")],
    "PROVIDERS": {
        "photo-box": {
            "name": "Photo Box",
            "issuer": SERVER_URL,  # its endpoints are in the metadata that it publishes
            "userinfo_url": f"{SERVER_URL}/api/me",
            "api_base_url": f"{SERVER_URL}/api",
            "client_id": required("EXAMPLE_CLIENT_ID"),
            "client_secret": required("EXAMPLE_CLIENT_SECRET"),
            "scopes": {"profile": "See your name there", "photos": "See your photos there"},
            "login": True,
            "create_users": True,
        },
    },
}
