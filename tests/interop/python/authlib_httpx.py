"""PyPI Authlib, its client for httpx2: https://docs.authlib.org/"""

from __future__ import annotations

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib_walk import walk

walk(OAuth2Client, OAuthError)
