"""Every integration answers alike: same status, same header bytes, one query at most (RFC 6750 §3, §3.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_pkce_auth.resource import BearerASGI
from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from django_pkce_auth.testing import issue_access_token

Answer = tuple[int, dict[str, str | None], bytes]
SHOWN = ("WWW-Authenticate", "Cache-Control", "Location", "Retry-After")
NEEDED = ("read", "profile")


CSRF = "django.middleware.csrf.CsrfViewMiddleware"
BEHIND_MIDDLEWARE = list(django_settings.MIDDLEWARE)
BEHIND_MIDDLEWARE.insert(BEHIND_MIDDLEWARE.index(CSRF), "django_pkce_auth.resource.middleware.BearerMiddleware")
BEHIND_MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")


def by_django(path: str, *, middleware: list[str] | None = None) -> Callable[..., Answer]:
    def call(header: str | None, method: str = "GET", body: bytes = b"", kind: str = "application/json") -> Answer:
        headers = {} if header is None else {"Authorization": header}
        with override_settings(MIDDLEWARE=middleware or django_settings.MIDDLEWARE):
            response = Browser().generic(method, path, body, kind, headers=headers)
        return response.status_code, {name: response.get(name) for name in SHOWN}, response.content

    return call


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps({"user": str(scope["oauth"].acting_user)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def by_asgi(header: str | None, method: str = "GET", body: bytes = b"", kind: str = "application/json") -> Answer:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]
    scope = {"type": "http", "method": method, "path": "/x", "headers": [*headers, (b"content-type", kind.encode())]}
    async_to_sync(BearerASGI(mounted, *NEEDED))(scope, receive, send)
    answered = {name.decode().title().replace("Www", "WWW"): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], {name: answered.get(name) for name in SHOWN}, b"".join(part["body"] for part in sent[1:])


GUARDS: dict[str, Callable[..., Answer]] = {
    "function": by_django("/guarded/function"),
    "async function": by_django("/guarded/async-function"),
    "mixin": by_django("/guarded/mixin"),
    "async mixin": by_django("/guarded/async-mixin"),
    "drf": by_django("/guarded/drf"),
    "ninja": by_django("/guarded/ninja/sync"),
    "async ninja": by_django("/guarded/ninja/async"),
    "asgi": by_asgi,
    "middleware and function": by_django("/guarded/function", middleware=BEHIND_MIDDLEWARE),
    "middleware and async mixin": by_django("/guarded/async-mixin", middleware=BEHIND_MIDDLEWARE),
    "middleware and drf": by_django("/guarded/drf", middleware=BEHIND_MIDDLEWARE),
    "middleware and ninja": by_django("/guarded/ninja/sync", middleware=BEHIND_MIDDLEWARE),
    "middleware and async ninja": by_django("/guarded/ninja/async", middleware=BEHIND_MIDDLEWARE),
    "decorated class": by_django("/guarded/decorated"),
    "decorated async class": by_django("/guarded/async-decorated"),
}
every_guard = pytest.mark.parametrize("guard", list(GUARDS))
CASES = [
    "none",
    "basic",
    "empty",
    "malformed",
    "two tokens",
    "unknown",
    "expired",
    "revoked",
    "client disabled",
    "user inactive",
    "for another resource",
    "one scope lacks",
    "every scope lacks",
    "good",
]


@pytest.fixture(autouse=True)
def urlconf() -> Any:
    with override_settings(ROOT_URLCONF="tests.resource.guarded"):
        yield


@pytest.fixture
def header(alice: Any) -> Callable[[str], str | None]:
    def make(case: str) -> str | None:
        fixed = {
            "none": None,
            "basic": "Basic eDp5",
            "empty": "",
            "malformed": "Bearer a b",
            "two tokens": "Bearer a, Bearer b",
            "unknown": "Bearer x",
        }
        if case in fixed:
            return fixed[case]
        scopes = {"one scope lacks": ["read"], "every scope lacks": ["write"]}.get(case, NEEDED)
        raw = issue_access_token(alice, scopes, expires_in=-1 if case == "expired" else 60)
        if case == "revoked":
            TokenFamily.objects.update(revoked_at=timezone.now())
        elif case == "client disabled":
            Client.objects.update(disabled_at=timezone.now())
        elif case == "user inactive":
            type(alice).objects.update(is_active=False)
        elif case == "for another resource":
            AccessToken.objects.update(resource="https://elsewhere.example")
        return f"Bearer {raw}"

    return make


@every_guard
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_guard_answers_like_the_first_one(
    guard: str, case: str, method: str, header: Callable[[str], str | None]
) -> None:
    sent = header(case)
    status, headers, body = GUARDS["function"](sent, method)
    with CaptureQueriesContext(connection) as captured:
        answer = GUARDS[guard](sent, method)
    assert answer[0] == status
    assert answer[1] == headers
    assert json.loads(answer[2]) == json.loads(body)
    assert len(captured) <= 1
    expected = {"none": 401, "basic": 401, "empty": 401, "malformed": 400, "two tokens": 400, "good": 200}
    lacks = 403 if "lacks" in case else 401
    assert status == expected.get(case, lacks)
    assert headers["Location"] is None
    assert headers["Cache-Control"] == (None if status == 200 else "no-store")


@every_guard
def test_insufficient_scope_names_all_that_the_operation_needs(guard: str, header: Callable[[str], str | None]) -> None:
    _, headers, _ = GUARDS[guard](header("one scope lacks"))
    assert 'scope="read profile"' in (headers["WWW-Authenticate"] or "")


@every_guard
@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "DELETE", "TRACE", "PROPFIND", "get"])
@pytest.mark.parametrize("case", ["none", "unknown", "good"])
def test_any_method_is_no_error(guard: str, method: str, case: str, header: Callable[[str], str | None]) -> None:
    status, headers, _ = GUARDS[guard](header(case), method)
    assert status in ((200, 204, 405) if case == "good" else (401, 405))
    assert headers["Location"] is None


@every_guard
@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml", "\x00;"])
def test_any_content_type_and_body_is_no_error(guard: str, kind: str, header: Callable[[str], str | None]) -> None:
    for case, status in (("none", 401), ("unknown", 401), ("good", 200)):
        assert GUARDS[guard](header(case), "POST", b"\xff\x00{", kind)[0] == status


@every_guard
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rest=st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40),
    scheme=st.sampled_from(["", "Bearer ", "bearer"]),
)
def test_any_bytes_in_the_header_are_refused_alike(guard: str, db: None, rest: str, scheme: str) -> None:
    sent = (scheme + rest).replace("\r", "").replace("\n", "")
    assert GUARDS[guard](sent)[:2] == GUARDS["function"](sent)[:2]


@every_guard
def test_token_in_query_or_body_is_not_read(guard: str, alice: Any) -> None:
    raw = issue_access_token(alice, NEEDED)
    assert GUARDS[guard](None, "POST", f"access_token={raw}".encode(), "application/x-www-form-urlencoded")[0] == 401


@every_guard
def test_outage_of_another_issuer_is_503_with_a_time(guard: str, db: None) -> None:
    entry = {"issuer": "http://127.0.0.1:1", "verification": "jwks"}
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"AUTHORIZATION_SERVER": entry}):
        status, headers, _ = GUARDS[guard]("Bearer a.b.c")
        assert status in (401, 503)
        jwt = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ.e30.AA"
        status, headers, _ = GUARDS[guard](f"Bearer {jwt}")
    assert (status, headers["Retry-After"], headers["WWW-Authenticate"]) == (503, "5", None)


def test_second_authorization_header_is_refused_by_asgi(db: None) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"authorization", b"Bearer a")] * 2}
    async_to_sync(BearerASGI(mounted, "read"))(scope, None, send)
    assert sent[0]["status"] == 400


@every_guard
def test_outage_of_the_database_is_503_with_retry_after(guard: str, header: Callable[[str], str | None]) -> None:
    sent = header("good")

    def fail(*args: Any) -> Any:
        raise OperationalError("server at db7.internal closed the connection")

    with connection.execute_wrapper(fail):
        status, headers, body = GUARDS[guard](sent)
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "5", "no-store")
    assert json.loads(body)["error"] == "temporarily_unavailable"
    assert b"internal" not in body
    assert GUARDS[guard](sent)[0] == 200


@pytest.mark.parametrize(
    ("path", "middleware"),
    [
        *((f"/guarded/{path}", django_settings.MIDDLEWARE) for path in ("function", "async-function", "mixin")),
        *((f"/guarded/{path}", django_settings.MIDDLEWARE) for path in ("async-mixin", "decorated", "drf", "photos")),
        *((f"/guarded/{path}", django_settings.MIDDLEWARE) for path in ("ninja/sync", "ninja/async")),
        ("/plain", BEHIND_MIDDLEWARE),
        ("/async-plain", BEHIND_MIDDLEWARE),
    ],
)
def test_answer_is_kept_by_caches_for_the_same_token_alone_rfc9110_12_5_5(
    path: str, middleware: list[str], header: Callable[[str], str | None]
) -> None:
    """Django's cache of whole pages would otherwise hand Alice's answer to anybody, token or none."""
    with override_settings(MIDDLEWARE=middleware):
        response = Browser().get(path, headers={"Authorization": str(header("good"))})
    assert response.status_code == 200, response.content
    assert "authorization" in [name.strip().lower() for name in response["Vary"].split(",")]
