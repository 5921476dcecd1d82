"""Tokens of another project, which is asked about each: answers kept for seconds, bounded (RFC 7662)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from functools import partial
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import RequestFactory, override_settings
from django.utils import timezone

from django_pkce_auth.resource import require_scopes
from django_pkce_auth.resource.remote import introspection
from django_pkce_auth.server.models import Client
from django_pkce_auth.transport import HttpTransport
from tests.resource.issuer import Issuer
from tests.resource.test_remote_jwks import call, refused

SECRET = "a-secret-that-the-issuer-gave-to-us-01234567"


@pytest.fixture(autouse=True)
def remote(issuer: Issuer) -> Iterator[None]:
    issuer.tokens["good"] = {"active": True, "token_type": "Bearer", **issuer.claims()}
    with use(issuer):
        yield


def use(issuer: Issuer, **more: Any) -> Any:
    entry = {
        "issuer": issuer.url,
        "verification": "introspection",
        "client_id": "api",
        "client_secret": SECRET,
        **more,
    }
    return override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"AUTHORIZATION_SERVER": entry})


def test_active_token_is_let_in_and_asked_about_as_a_client(issuer: Issuer) -> None:
    assert json.loads(call("good").content)["client_id"] == "app-there"
    assert issuer.forms == [{"token": "good", "token_type_hint": "access_token"}]
    (authorization,) = issuer.authorizations
    assert authorization is not None
    assert authorization.startswith("Basic ")


def test_unknown_token_is_refused(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "django_pkce_auth.resource"):
        assert refused("other")
    assert f"not active, says {issuer.url}; does it let api ask about every token?" in caplog.text


@pytest.mark.parametrize(
    ("status", "why"), [(401, "it answered 401; are 'client_id' and 'client_secret'"), (404, "it answered 404\n")]
)
def test_log_says_who_answered_and_what_to_look_at(
    issuer: Issuer, status: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers["/introspect"] = (status, {})
    assert call("good").status_code == 503
    assert f"{issuer.url}/introspect: {why}" in caplog.text


@pytest.mark.parametrize("answers", [True, False])
def test_log_says_nothing_of_a_secret_in_the_address(
    answers: bool, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers["/introspect?key=in-query"] = (500, {})
    origin = issuer.url if answers else "http://127.0.0.1:1"
    url = f"{origin.replace('://', '://api:pass-word@')}/introspect?key=in-query"
    with use(issuer, introspection_url=url), caplog.at_level("DEBUG"):
        assert call("good").status_code == 503
    assert origin in caplog.text
    assert "pass-word" not in caplog.text
    assert "in-query" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"active": False, "exp": 10**10},
        {"token_type": None},
        {"token_type": "DPoP"},
        {"token_type": "refresh_token"},
        {"iss": "https://evil.example"},
        {"aud": None},
        {"aud": "https://other.example"},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": 10**12},
        {"exp": -1},
        {"client_id": None},
        {"scope": 'read "all"'},
        {"scope": " ".join(map(str, range(101)))},
    ],
)
def test_answer_that_is_not_for_us_now_is_refused(issuer: Issuer, changes: dict[str, Any]) -> None:
    members = issuer.tokens["good"] | changes
    issuer.tokens["good"] = {name: value for name, value in members.items() if value is not None}
    assert refused("good")
    asked = len(issuer.forms)
    assert refused("good")
    assert len(issuer.forms) == asked


def test_token_without_an_end_lives_as_long_as_the_answer(issuer: Issuer) -> None:
    del issuer.tokens["good"]["exp"]
    assert call("good").status_code == 200


def test_program_of_which_our_server_names_no_subject_has_no_user(issuer: Issuer, register: Any) -> None:
    program = register(client_id="7", introspects=Client.Introspects.ALL, grant_types="client_credentials")
    token = program.post(grant_type="client_credentials", scope="read").json()["access_token"]
    said = program.post("/oauth/introspect", token=token).json()
    issuer.tokens["program"] = said | {"iss": issuer.url}
    with use(issuer, user="tests.resource.test_remote_jwks.user_of"):
        response = call("program")
    assert response.status_code == 200
    answer = json.loads(response.content)
    assert (answer["client_id"], answer["subject"], answer["user"]) == ("7", None, "AnonymousUser")


def test_view_can_not_change_what_the_next_request_is_told(issuer: Issuer) -> None:
    @require_scopes("read")
    def view(request: HttpRequest) -> HttpResponse:
        with pytest.raises(TypeError):
            request.oauth.claims["sub"] = "8"  # type: ignore[attr-defined]
        return JsonResponse(dict(request.oauth.claims))  # type: ignore[attr-defined]

    for _ in range(2):
        answer = view(RequestFactory().get("/", headers={"Authorization": "Bearer good"}))
        assert json.loads(answer.content)["sub"] == "7"


def test_answers_are_kept_for_seconds_good_and_bad(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    for passed in (0, 1, 5, 9, 9.9):
        monkeypatch.setattr(introspection, "time", SimpleNamespace(monotonic=lambda passed=passed: now + passed))
        assert call("good").status_code == 200
        assert refused("bad")
    assert len(issuer.forms) == 2
    issuer.tokens["good"]["active"] = False
    monkeypatch.setattr(introspection, "time", SimpleNamespace(monotonic=lambda: now + 10))
    assert refused("good")


def test_without_a_cache_every_request_asks(issuer: Issuer) -> None:
    with use(issuer, cache_seconds=0):
        assert call("good").status_code == 200
        issuer.tokens.clear()
        assert refused("good")


def test_kept_answers_are_bounded_and_hold_no_token(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MAX_ANSWERS", 3)
    for number in range(10):
        assert refused(f"token-{number}")
    assert len(introspection._answers) == 3
    assert "token-9" not in repr(introspection._answers)


def test_kept_answer_does_not_outlive_the_token(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = timezone.now().replace(microsecond=0) + timedelta(minutes=4)
    issuer.tokens["good"]["exp"] = int(ends.timestamp())
    with use(issuer, cache_seconds=300):
        for now, status in ((timezone.now(), 200), (ends - timedelta(microseconds=1), 200), (ends, 401)):
            monkeypatch.setattr(timezone, "now", lambda now=now: now)
            assert call("good").status_code == status
    assert len(issuer.forms) == 1


@pytest.mark.parametrize("answer", [(500, {}), (401, {"error": "invalid_client"}), (200, b"<html>"), (200, [])])
def test_server_that_says_nothing_is_503_and_nothing_is_kept(
    issuer: Issuer, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers["/introspect"] = answer
    response = call("good")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "can't be verified" in caplog.text
    assert SECRET not in caplog.text
    assert "good" not in caplog.text
    issuer.answers.clear()
    assert call("good").status_code == 200


def test_server_that_hangs_holds_one_request_at_a_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "SLOW_SECONDS", 0.5)
    monkeypatch.setattr(introspection, "HttpTransport", partial(HttpTransport, deadline=30.0))
    answer, goes_on = issuer.answer, Event()

    def hang(*request: Any) -> Any:
        goes_on.wait(0.5 if issuer.answers else 20)
        return answer(*request)

    monkeypatch.setattr(issuer, "answer", hang)
    issuer.answers["/introspect"] = (500, {})
    with use(issuer, introspection_url=f"{issuer.url}/introspect"):
        assert [call("good").status_code for _ in range(2)] == [503] * 2
        assert len(issuer.asked) == 2
        issuer.answers.clear()
        with ThreadPoolExecutor(9) as threads:
            asking = as_completed([threads.submit(call, "good") for _ in range(9)], timeout=15)
            assert [next(asking).result().status_code for _ in range(8)] == [503] * 8
            goes_on.set()
            assert next(asking).result().status_code == 200
        assert len(issuer.asked) == 3
        with ThreadPoolExecutor(4) as threads:
            assert [answer.status_code for answer in threads.map(call, "bcde")] == [401] * 4
        assert len(issuer.asked) == 7


def test_server_that_fails_at_once_is_asked_by_everybody(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "SLOW_SECONDS", 60)
    issuer.answers["/introspect"] = (500, {})
    assert call("a").status_code == 503
    answer, all_of_them = issuer.answer, Barrier(4)

    def once_all_have_asked(*request: Any) -> Any:
        all_of_them.wait(4)
        return answer(*request)

    monkeypatch.setattr(issuer, "answer", once_all_have_asked)
    with ThreadPoolExecutor(4) as threads:
        assert [answer.status_code for answer in threads.map(call, "bcde")] == [503] * 4
    assert issuer.asked.count("/introspect") == 5
