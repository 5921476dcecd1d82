"""A fault in the middle of a request is reported by mail with the request's values: none of ours may be a secret."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from django.conf import settings
from django.core.signals import got_request_exception
from django.test import Client as Browser
from django.test import override_settings
from django.utils import timezone
from django.views.debug import ExceptionReporter, get_exception_reporter_class

from django_pkce_auth.client import refresh
from django_pkce_auth.client.api import ConnectionAuth
from django_pkce_auth.client.errors import ConnectError
from django_pkce_auth.client.models import Connection
from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.secrets import generate
from django_pkce_auth.testing import fake_provider
from django_pkce_auth.testing.provider import CLIENT_ID, CLIENT_SECRET
from tests.four_steps import REDIRECT_URI, VERIFIER, App, bearer

ACCESS, REFRESH = "theirs-access-token-0123456789", "theirs-refresh-token-0123456789"
FORM = "application/x-www-form-urlencoded"


class Fault(Exception):
    pass


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a function fail, and collect what AdminEmailHandler would send, as text and as HTML."""
    found: list[str] = []

    def collect(request: Any, **rest: Any) -> None:
        reporter = get_exception_reporter_class(request)(request, *sys.exc_info(), is_email=True)
        found.extend((reporter.get_traceback_text(), reporter.get_traceback_html()))

    # As if one of our own functions failed: its arguments are secrets.
    names: dict[str, Any] = {"__name__": "django_pkce_auth.fault", "Fault": Fault}
    exec("def fail(*args, **kwargs):\n    raise Fault('here')", names)  # noqa: S102

    def at(where: str) -> list[str]:
        monkeypatch.setattr(where, names["fail"])
        return found

    got_request_exception.connect(collect)
    yield at
    got_request_exception.disconnect(collect)


GRANTS = "django_pkce_auth.server.grants"


@pytest.mark.parametrize(
    "where",
    [
        f"{GRANTS}.authorization_code.redeem",
        f"{GRANTS}.authorization_code.verify",
        f"{GRANTS}.authorization_code.authenticate",
        "django_pkce_auth.server.lookups.digest",
        "django_pkce_auth.server.lookups.same",
        "django_pkce_auth.server.issue.write",
        "django_pkce_auth.server.issue.purge_sometimes",
        "django_pkce_auth.server.responses.JsonResponse",
    ],
)
@pytest.mark.parametrize("method", ["header", "body"])
def test_report_of_a_fault_at_the_token_endpoint_shows_no_secret(
    app: App, code: str, reports: Any, where: str, method: str
) -> None:
    found = reports(where)
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI}
    browser = Browser(raise_request_exception=False)
    headers = {"Authorization": app.credentials.header()} if method == "header" else {}
    if method == "body":
        fields |= {"client_id": app.client.client_id, "client_secret": app.secret or ""}
    response = browser.post("/oauth/token", urlencode(fields), content_type=FORM, headers=headers)
    assert response.status_code == 500
    assert found
    for report in found:
        assert "Fault" in report
        for secret in (code, VERIFIER, app.secret or "", app.credentials.header().removeprefix("Basic ")):
            assert secret not in report
        assert "pkce_at_" not in report
        assert "pkce_rt_" not in report


def test_report_of_a_fault_at_approval_shows_no_code(app: App, signed_in: Browser, reports: Any) -> None:
    found = reports("django_pkce_auth.server.authorize.AuthorizationResponse")
    signed_in.raise_request_exception = False
    assert signed_in.post(app.link(), {"decision": "approve"}).status_code == 500
    assert found
    assert not any("pkce_ac_" in report for report in found)


@pytest.mark.parametrize("path", ["/api/read", "/api/async"])
def test_report_of_a_fault_in_the_bearer_check_shows_no_token(tokens: Any, reports: Any, path: str) -> None:
    found = reports("django_pkce_auth.resource.bearer.find_grant")
    browser = Browser(raise_request_exception=False)
    assert browser.get(path, headers=bearer(tokens["access_token"])).status_code == 500
    assert found
    assert not any(tokens["access_token"] in report for report in found)


def test_report_of_a_fault_while_disconnecting_shows_no_token_of_the_provider(
    signed_in: Browser, alice: Any, reports: Any
) -> None:
    connection = Connection.objects.create(
        user=alice, provider="fake", raw_access_token=ACCESS, raw_refresh_token=REFRESH
    )
    found = reports("django_pkce_auth.testing.FakeProvider._revoke")
    signed_in.raise_request_exception = False
    with fake_provider():
        assert signed_in.post("/connect/", {"connection": connection.pk}).status_code == 500
    assert found
    for secret in (ACCESS, REFRESH, CLIENT_SECRET):
        assert not any(secret in report for report in found)


@pytest.mark.parametrize("path", ["/connect/fake/", "/connect/fake/login"])
def test_report_of_a_fault_at_the_start_shows_no_verifier(
    signed_in: Browser, reports: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(generate())
        return drawn[-1]

    monkeypatch.setattr("django_pkce_auth.client.attempts.generate", draw)
    found = reports("django_pkce_auth.client.attempts.code_challenge")
    browser = signed_in if path.endswith("/") else Browser()
    browser.raise_request_exception = False
    with fake_provider():
        assert browser.post(path).status_code == 500
    assert found
    assert len(drawn) == 2
    for secret in drawn:
        assert not any(secret in report for report in found)


class TestProjectThatCatchesNoneOfOurErrors:
    """Its own views and tasks call us, and what they let through is reported with the variables of our functions."""

    def report(self, work: Callable[[], object]) -> str:
        try:
            work()
        except ConnectError:
            reporter = ExceptionReporter(None, *sys.exc_info(), is_email=True)
            return f"{reporter.get_traceback_text()}{reporter.get_traceback_html()}"
        raise AssertionError("nothing was raised")

    @pytest.mark.parametrize("answer", [b"nonsense", b'{"error": "invalid_grant"}', b'{"error": "invalid_client"}'])
    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
    def test_report_shows_no_token_of_the_provider(
        self, alice: Any, answer: bytes, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refresh, "BACKOFF_SECONDS", ())
        connection = Connection.objects.create(
            user=alice,
            provider="fake",
            raw_access_token=ACCESS,
            raw_refresh_token=REFRESH,
            access_token_expires_at=timezone.now() - timedelta(seconds=1),
        )
        with fake_provider() as provider:
            changed = {"PROVIDERS": {"fake": provider.settings | {"client_authentication": method}}}
            with override_settings(PKCE_AUTH=settings.PKCE_AUTH | changed):
                provider.answer_next(answer)
                reports = [self.report(connection.access_token)]
                Connection.objects.update(status="active")
                request = httpx2.Request("GET", f"{provider.issuer}/api/", headers=bearer(ACCESS))
                auth = ConnectionAuth(Connection.objects.get(), origin=provider.issuer)
                provider.answer_next(answer)
                reports.append(self.report(lambda: auth._carrying(request, again=True)))
        basic = ClientCredentials(CLIENT_ID, CLIENT_SECRET, method).header().removeprefix("Basic ")
        for report in reports:
            assert "Connect" in report
            for secret in (ACCESS, REFRESH, CLIENT_SECRET, basic):
                assert secret not in report
