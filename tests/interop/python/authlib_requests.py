"""PyPI Authlib, its session for requests: https://docs.authlib.org/"""

from __future__ import annotations

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib_walk import walk

walk(OAuth2Session, OAuthError)
