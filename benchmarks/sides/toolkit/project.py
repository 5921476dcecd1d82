from benchmarks.exchange import SCOPES

APPS = ["oauth2_provider"]
# Its defaults, and what its command needs to find anything to remove.
SETTINGS = {
    "OAUTH2_PROVIDER": {
        "SCOPES": SCOPES | {"introspection": "Introspect"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
        "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86400,
    }
}
