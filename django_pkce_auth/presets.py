"""Well-known providers as data: ``{"preset": "github", "client_id": …}`` fills in the rest.

Each entry holds keys of ``PKCE_AUTH["PROVIDERS"]``, which the project's own entry goes over. A provider that publishes
metadata needs its issuer only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Publishes metadata. A refresh token comes only with access_type=offline, and after the first time only if the
    # user is asked again.
    "google": {
        "name": "Google",
        "issuer": "https://accounts.google.com",
        "api_base_url": "https://www.googleapis.com/",
        "scopes": ("openid", "profile", "email"),
        "extra_authorize_parameters": {"access_type": "offline", "prompt": "consent"},
    },
    # OAuth apps: tokens do not expire, there is no refresh token, and no RFC 7009 endpoint.
    "github": {
        "name": "GitHub",
        "authorize_url": "https://github.com/login/oauth/authorize",
        "token_url": "https://github.com/login/oauth/access_token",
        "userinfo_url": "https://api.github.com/user",
        "api_base_url": "https://api.github.com/",
        "client_authentication": "client_secret_post",
        "scopes": ("read:user",),
    },
    # Publishes metadata. For a server of your own set "issuer" and "api_base_url".
    "gitlab": {
        "name": "GitLab",
        "issuer": "https://gitlab.com",
        "api_base_url": "https://gitlab.com/api/v4/",
        "scopes": ("openid", "profile"),
    },
    # The metadata of "common" names a template as its issuer, which is equal to nothing, so the addresses stand here.
    # A refresh token comes only with offline_access.
    "microsoft": {
        "name": "Microsoft",
        "authorize_url": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "token_url": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "userinfo_url": "https://graph.microsoft.com/oidc/userinfo",
        "api_base_url": "https://graph.microsoft.com/v1.0/",
        "client_authentication": "client_secret_post",
        "scopes": ("openid", "profile", "offline_access"),
    },
    "discord": {
        "name": "Discord",
        "authorize_url": "https://discord.com/oauth2/authorize",
        "token_url": "https://discord.com/api/oauth2/token",
        "revoke_url": "https://discord.com/api/oauth2/token/revoke",
        "userinfo_url": "https://discord.com/api/users/@me",
        "api_base_url": "https://discord.com/api/",
        "scopes": ("identify",),
    },
    # Publishes metadata; "Sign in with Slack" is OpenID Connect.
    "slack": {
        "name": "Slack",
        "authorize_url": "https://slack.com/openid/connect/authorize",
        "token_url": "https://slack.com/api/openid.connect.token",
        "userinfo_url": "https://slack.com/api/openid.connect.userInfo",
        "issuer": "https://slack.com",
        "api_base_url": "https://slack.com/api/",
        "client_authentication": "client_secret_post",
        "scopes": ("openid", "profile"),
    },
    # A refresh token comes only with token_access_type=offline.
    "dropbox": {
        "name": "Dropbox",
        "authorize_url": "https://www.dropbox.com/oauth2/authorize",
        "token_url": "https://api.dropboxapi.com/oauth2/token",
        "api_base_url": "https://api.dropboxapi.com/2/",
        "scopes": ("account_info.read",),
        "extra_authorize_parameters": {"token_access_type": "offline"},
    },
    "spotify": {
        "name": "Spotify",
        "authorize_url": "https://accounts.spotify.com/authorize",
        "token_url": "https://accounts.spotify.com/api/token",
        "userinfo_url": "https://api.spotify.com/v1/me",
        "api_base_url": "https://api.spotify.com/v1/",
        "scopes": ("user-read-private",),
    },
}
