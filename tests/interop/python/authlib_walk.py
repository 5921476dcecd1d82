"""What Authlib's two clients do alike. It sends Basic credentials raw, and leaves ``iss`` to its user."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.common.security import generate_token
from dialogue import browse, report, setup

DISCOVERY = f"{setup['issuer']}/.well-known/oauth-authorization-server"


def walk(client_class: Any, error_class: type[Exception]) -> None:
    client = client_class(
        setup["client_id"],
        setup["client_secret"],
        token_endpoint_auth_method=setup["method"],
        revocation_endpoint_auth_method=setup["method"],
        scope=setup["scope"],
        redirect_uri=setup["redirect_uri"],
        code_challenge_method="S256",
    )
    metadata = client.request("GET", DISCOVERY, withhold_token=True).json()

    def ask(decision: str) -> tuple[str, str, str]:
        verifier = generate_token(48)
        url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        return browse(url, decision), state, verifier

    def exchange(landed: str, state: str, verifier: str) -> dict[str, Any]:
        return dict(
            client.fetch_token(
                metadata["token_endpoint"], authorization_response=landed, state=state, code_verifier=verifier
            )
        )

    landed, state, _ = ask("deny")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    denied = {"error": answer["error"], "state": answer["state"] == state, "iss": answer["iss"]}

    token = exchange(*ask("approve"))
    me = client.get(setup["api"]).json()
    refreshed = dict(client.refresh_token(metadata["token_endpoint"]))
    introspected = client.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
    introspected.pop("error_description", None)

    ended = client.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"])
    assert ended.status_code == 200, ended.text
    challenged = client.get(setup["api"])
    try:
        client.refresh_token(metadata["token_endpoint"], refresh_token=refreshed["refresh_token"])
    except error_class as error:
        refused = error.error  # type: ignore[attr-defined]
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
