from benchmarks.exchange import ISSUER, SCOPES

APPS = ["django_pkce_auth"]
# Nobody logs in here by a form, so there is no page for it.
SETTINGS = {"PKCE_AUTH": {"ISSUER": ISSUER, "SCOPES": SCOPES}, "SILENCED_SYSTEM_CHECKS": ["pkce_auth.W010"]}
