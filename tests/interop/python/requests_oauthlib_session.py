"""PyPI requests-oauthlib: https://requests-oauthlib.readthedocs.io/

It sends Basic credentials raw, and leaves ``iss`` and introspection to its user.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from dialogue import browse, report, setup
from oauthlib.oauth2 import AccessDeniedError, InvalidGrantError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # its own word for http to a loopback host

DISCOVERY = f"{setup['issuer']}/.well-known/oauth-authorization-server"
IN_BODY = {"client_id": setup["client_id"]} | (
    {"client_secret": setup["client_secret"]} if setup["client_secret"] else {}
)


def proof() -> dict[str, Any]:
    """Return the arguments that make a request carry the client's credentials in the way that was asked for."""
    if setup["method"] == "client_secret_basic":
        return {"auth": HTTPBasicAuth(setup["client_id"], setup["client_secret"])}
    return IN_BODY


def exchange(session: OAuth2Session, landed: str) -> dict[str, Any]:
    given = proof() if "auth" in proof() else {"include_client_id": True, "client_secret": setup["client_secret"]}
    return dict(session.fetch_token(METADATA["token_endpoint"], authorization_response=landed, **given))


def refresh(session: OAuth2Session, refresh_token: str) -> dict[str, Any]:
    return dict(session.refresh_token(METADATA["token_endpoint"], refresh_token=refresh_token, **proof()))


def post(url: str, token: str) -> requests.Response:
    """Send a token to the revocation or the introspection endpoint."""
    given = proof()
    auth = given.pop("auth", None)
    return plain.post(url, data={"token": token} | given, auth=auth)


def session_for(decision: str) -> tuple[OAuth2Session, str]:
    session = OAuth2Session(
        setup["client_id"], redirect_uri=setup["redirect_uri"], scope=setup["scope"].split(), pkce="S256"
    )
    url, _ = session.authorization_url(METADATA["authorization_endpoint"])
    return session, browse(url, decision)


plain = requests.Session()
METADATA = plain.get(DISCOVERY).json()

session, landed = session_for("deny")
try:
    exchange(session, landed)
except AccessDeniedError as error:
    # The library compared the state before it told of the error.
    denied = {"error": error.error, "state": True, "iss": parse_qs(urlsplit(landed).query)["iss"][0]}

session, landed = session_for("approve")
token = exchange(session, landed)
me = session.get(setup["api"]).json()
refreshed = refresh(session, token["refresh_token"])
introspected = post(METADATA["introspection_endpoint"], refreshed["access_token"]).json()
introspected.pop("error_description", None)
ended = post(METADATA["revocation_endpoint"], refreshed["refresh_token"])
assert ended.status_code == 200, ended.text
challenged = session.get(setup["api"])
try:
    refresh(session, refreshed["refresh_token"])
except InvalidGrantError as error:
    refused = error.error
report(
    {
        "denied": denied,
        "token": token,
        "me": me,
        "refreshed": refreshed,
        "introspected": introspected,
        "revoked": {"status": challenged.status_code, "error": challenged.json()["error"]},
        "refused": refused,
    }
)
