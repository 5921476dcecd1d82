from benchmarks.exchange import SCOPES

APPS = ["benchmarks.sides.authlib"]
SETTINGS = {"AUTHLIB_OAUTH2_PROVIDER": {"scopes_supported": list(SCOPES), "refresh_token_generator": True}}
