"""Both ends of the OAuth 2.0 authorization code flow with PKCE, as one reusable Django app."""

__version__ = "0.1.0"
