"""Photo Box: the authorization server, and the API that its tokens open."""

from __future__ import annotations

from ..environment import directory, required
from .base import *  # noqa: F403
from .base import INSTALLED_APPS, templates

ROOT_URLCONF = "example_project.server_site.urls"
TEMPLATES = templates("server_site")
# What its API is written and described with; the package itself needs none of them.
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "drf_spectacular", "drf_spectacular_sidecar", "ninja"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory() / "server.sqlite3"}}
# The sites share a host, and a browser's cookies know no ports: each site has names of its own.
SESSION_COOKIE_NAME = "server_session"
CSRF_COOKIE_NAME = "server_csrf"
PKCE_AUTH = {
    "ISSUER": required("EXAMPLE_SERVER_URL"),
    "SCOPES": {
        # An app that may not know whose photos they are has no use for the others.
        "profile": {"words": "See your name", "required": True},
        "photos": "See your photos",
    },
    # Signing keys are stored encrypted.
    "ENCRYPTION_KEYS": [required("EXAMPLE_ENCRYPTION_KEY")],
    # An API of another project, which accepts tokens that were asked for with this address as their resource.
    "RESOURCES": {required("EXAMPLE_PRINT_SHOP_URL"): {"name": "Print Shop", "scopes": ["photos"]}},
}
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Photo Box",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"oauth2RedirectUrl": f"{required('EXAMPLE_SERVER_URL')}/api/docs/back"},
    "SWAGGER_UI_OAUTH2_CONFIG": {
        "clientId": "api-docs",
        "scopes": "profile photos",
        "usePkceWithAuthorizationCodeGrant": True,
    },
}
