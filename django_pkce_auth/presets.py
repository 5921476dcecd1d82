"""Well-known providers as data: ``{"preset": "github", "client_id": …}`` fills in the rest.

Each entry holds keys of ``PKCE_AUTH["PROVIDERS"]``, which the project's own entry goes over. A provider that publishes
metadata needs its issuer only.

Checked in November 2026 against the services' documentation and published metadata; not tried against the services.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Publishes metadata. A refresh token comes only with access_type=offline, and after the first time only if the
    # user is asked again. Ending the refresh token ends the access token too.
    "google": {
        "name": "Google",
        "issuer": "https://accounts.google.com",
        "api_base_url": "https://www.googleapis.com/",
        "scopes": ("openid", "profile", "email"),
        "extra_authorize_parameters": {"access_type": "offline", "prompt": "consent"},
    },
    # OAuth apps: tokens do not expire, and there is no refresh token; GitHub Apps can have both. Refuses with 200 and
    # an error. Its metadata (RFC 8414) has no userinfo, and there is no RFC 7009 endpoint. Names itself by iss.
    "github": {
        "name": "GitHub",
        "issuer": "https://github.com/login/oauth",
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
    # The metadata of "common" names a template as its issuer, which is equal to nothing, and that of a tenant does not
    # say S256, though it is supported; so the addresses stand here. For one tenant write it in place of "common". A
    # refresh token comes only with offline_access. There is no RFC 7009 endpoint.
    "microsoft": {
        "name": "Microsoft",
        "authorize_url": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "token_url": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "userinfo_url": "https://graph.microsoft.com/oidc/userinfo",
        "api_base_url": "https://graph.microsoft.com/v1.0/",
        "client_authentication": "client_secret_post",
        "scopes": ("openid", "profile", "offline_access"),
    },
    # Requests with PKCE are held to it strictly, for clients with a secret too. Names itself by iss.
    "discord": {
        "name": "Discord",
        "issuer": "https://discord.com",
        "authorize_url": "https://discord.com/oauth2/authorize",
        "token_url": "https://discord.com/api/oauth2/token",
        "revoke_url": "https://discord.com/api/oauth2/token/revoke",
        "userinfo_url": "https://discord.com/api/users/@me",
        "api_base_url": "https://discord.com/api/",
        "scopes": ("identify",),
    },
    # "Sign in with Slack" is OpenID Connect. It takes PKCE from apps that are set to be public clients only, and
    # answers a secret beside a code_verifier with internal_error. Refuses with 200 and an error.
    "slack": {
        "name": "Slack",
        "authorize_url": "https://slack.com/openid/connect/authorize",
        "token_url": "https://slack.com/api/openid.connect.token",
        "userinfo_url": "https://slack.com/api/openid.connect.userInfo",
        "issuer": "https://slack.com",
        "api_base_url": "https://slack.com/api/",
        "client_authentication": "client_secret_post",
        "scopes": ("openid", "profile"),
        "rejects_pkce": True,
    },
    # A refresh token comes only with token_access_type=offline. Its userinfo takes POST only, and ends a token by a
    # call of its own API, so accounts have no label and are not revoked there.
    "dropbox": {
        "name": "Dropbox",
        "authorize_url": "https://www.dropbox.com/oauth2/authorize",
        "token_url": "https://api.dropboxapi.com/oauth2/token",
        "api_base_url": "https://api.dropboxapi.com/2/",
        "scopes": ("account_info.read",),
        "extra_authorize_parameters": {"token_access_type": "offline"},
    },
    # Publishes no metadata that would say so, but takes S256. There is no RFC 7009 endpoint.
    "spotify": {
        "name": "Spotify",
        "authorize_url": "https://accounts.spotify.com/authorize",
        "token_url": "https://accounts.spotify.com/api/token",
        "userinfo_url": "https://api.spotify.com/v1/me",
        "api_base_url": "https://api.spotify.com/v1/",
        "scopes": ("user-read-private",),
    },
}
