"""What is sent to each side: requests that can be kept in a file, made once and answered by another process."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
HOST: Final = "app.example"
REDIRECT_URI: Final = f"https://{HOST}/callback"
ISSUER: Final = "https://server.example"
SCOPES: Final = {"read": "Read your data", "write": "Change your data"}
SCOPE: Final = "read write"
USER: Final = "alice"
PUBLIC, CONFIDENTIAL, API = "public-app", "confidential-app", "api"
"""The clients of every side; the last is a resource server, which introspects."""
KINDS: Final = {"public": PUBLIC, "confidential": CONFIDENTIAL}
FLOW: Final = "flow"
OPERATIONS: Final = ("guarded-get", "exchange", "refresh", "introspection")
# Seconds that everything prepared is good for; a slow run must not outlive it.
LIFETIME: Final = 86400


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, Any]:
        """Return what a WSGI server makes of it."""
        body = self.body.encode()
        named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        if body:
            named["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
            named["CONTENT_LENGTH"] = str(len(body))
        return {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "server.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "server.example",
            "HTTP_ACCEPT": "application/json",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": None,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **named,
        }


@dataclass(frozen=True, slots=True)
class Flow:
    """The whole of it, for one person who is signed in: the page, Allow, and the exchange."""

    client_id: str
    secret: str
    cookie: str
    authorize: str
    approval: Mapping[str, str]
    """What pressing Allow adds to the form's hidden fields."""
    token: str


def save(prepared: Mapping[str, Iterable[Request | Flow]], path: Path) -> None:
    path.write_text(json.dumps({name: [asdict(each) for each in listed] for name, listed in prepared.items()}))


def load(path: Path, name: str) -> list[Any]:
    """Return the requests, or flows, that were prepared under ``name``."""
    made: Any = Flow if name.startswith(FLOW) else Request
    return [made(**members) for members in json.loads(path.read_text())[name]]


def call(request: Request) -> bytes:
    """Answer a request in this process, as a server's worker does; return the body of a 200."""
    from django.core.wsgi import get_wsgi_application

    statuses: list[str] = []
    response = get_wsgi_application()(request.environ(), lambda status, headers: statuses.append(status))
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    if statuses != ["200 OK"]:
        raise SystemExit(f"{request.method} {request.path}: {statuses} {body[:500]!r}")
    return body


def token_request(path: str, client_id: str, secret: str, **form: str) -> Request:
    """A client's POST: by HTTP Basic where it has a secret, and by its mere name where it has none."""
    if secret:
        return Request("POST", path, urlencode(form), {"Authorization": _basic(client_id, secret)})
    return Request("POST", path, urlencode(form | {"client_id": client_id}))


def redeem(path: str, client_id: str, secret: str, code: str) -> Request:
    return token_request(
        path,
        client_id,
        secret,
        grant_type="authorization_code",
        code=code,
        code_verifier=VERIFIER,
        redirect_uri=REDIRECT_URI,
    )


def refresh(path: str, client_id: str, secret: str, refresh_token: str) -> Request:
    return token_request(path, client_id, secret, grant_type="refresh_token", refresh_token=refresh_token)


def authorization_query(client_id: str) -> str:
    return urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "af0ifjsldkj",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
    )


def guarded_get(path: str, access_token: str) -> Request:
    return Request("GET", path, headers={"Authorization": f"Bearer {access_token}"})


def _basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
