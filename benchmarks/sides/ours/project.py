from benchmarks.exchange import ISSUER, SCOPES

APPS = ["django_pkce_auth"]
SETTINGS = {"PKCE_AUTH": {"ISSUER": ISSUER, "SCOPES": SCOPES}}
