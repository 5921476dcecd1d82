"""What a refusal says: one sentence to the client, the reason to the log, and the same sentence for like cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.protocol.client_authentication import ClientCredentials
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server import throttle
from django_pkce_auth.server.authenticate import ClientRefused, authenticate
from django_pkce_auth.server.models import AuthorizationCode, Client, DeviceCode, RefreshToken, TokenFamily
from django_pkce_auth.server.views import endpoint
from tests.four_steps import App

CODE_REFUSED = (
    "The code is unknown, expired, already redeemed, or was issued to another client; begin a new authorization."
)
TOKEN_REFUSED = (
    "The refresh token is unknown, expired, revoked, superseded, or was issued to another client; "
    "begin a new authorization."
)
DEVICE_CODE_REFUSED = "The device code is unknown, already redeemed, or was issued to another client; begin anew."
CLIENT_REFUSED = "The client is unknown or disabled, or its secret is missing or wrong; the server's log says which."


def says(answer: Any, error: str, description: str) -> None:
    assert answer.json() == {"error": error, "error_description": description}


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[tuple[str, str, str]]:
    lines = [record for record in caplog.records if getattr(record, "event", "") == event]
    return [(line.levelname, line.getMessage(), getattr(line, "reason", "")) for line in lines]


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="django_pkce_auth.server")


CODES: dict[str, Callable[[App, str], Any]] = {
    "unknown, or another client's": lambda app, code: None,
    "expired": lambda app, code: AuthorizationCode.objects.update(expires_at=timezone.now()),
    "its user is deactivated": lambda app, code: AuthorizationCode.objects.get().user.__class__.objects.update(
        is_active=False
    ),
    "redeemed before; what it gave is revoked": lambda app, code: app.redeem(code),
}


@pytest.mark.parametrize("reason", CODES)
def test_code_refused(app: App, code: str, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    CODES[reason](app, code)
    sent = code + "x" if reason.startswith("unknown") else code
    says(app.redeem(sent), "invalid_grant", CODE_REFUSED)
    assert logged(caplog, "code_refused") == [("INFO", f"Authorization code refused: {reason}", reason)]


def spend(app: App, raw: str) -> None:
    """Let the token's successor have been used: now it is in two parties' hands."""
    app.refresh(app.refresh(raw).json()["refresh_token"])


TOKENS: dict[str, Callable[[App, str], Any]] = {
    "expired with its family": lambda app, raw: TokenFamily.objects.update(expires_at=timezone.now()),
    "unknown, or another client's": lambda app, raw: RefreshToken.objects.all().delete(),
    "expired": lambda app, raw: RefreshToken.objects.update(expires_at=timezone.now()),
    "its family is revoked": lambda app, raw: TokenFamily.objects.update(revoked_at=timezone.now()),
    "its user is deactivated": lambda app, raw: TokenFamily.objects.get().user.__class__.objects.update(
        is_active=False
    ),
    "superseded; its family is revoked": spend,
}


@pytest.mark.parametrize("reason", TOKENS)
def test_refresh_token_refused(app: App, tokens: dict[str, Any], caplog: pytest.LogCaptureFixture, reason: str) -> None:
    TOKENS[reason](app, tokens["refresh_token"])
    reason = reason.removesuffix(" with its family")
    says(app.refresh(tokens["refresh_token"]), "invalid_grant", TOKEN_REFUSED)
    assert logged(caplog, "refresh_refused") == [("INFO", f"Refresh token refused: {reason}", reason)]


@pytest.mark.parametrize(
    ("passed", "reason"),
    [
        (timedelta(seconds=2), "superseded by a simultaneous request"),
        (timedelta(seconds=2, microseconds=1), "superseded; its family is revoked"),
    ],
)
def test_refresh_token_of_a_sibling_that_was_just_used(
    app: App,
    tokens: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    passed: timedelta,
    reason: str,
) -> None:
    one, other = (app.refresh(tokens["refresh_token"]).json() for _ in range(2))
    app.refresh(one["refresh_token"])
    now = timezone.now()
    RefreshToken.objects.exclude(superseded_at=None).update(superseded_at=now - passed)
    monkeypatch.setattr(timezone, "now", lambda: now)
    says(app.refresh(other["refresh_token"]), "invalid_grant", TOKEN_REFUSED)
    assert logged(caplog, "refresh_refused") == [("INFO", f"Refresh token refused: {reason}", reason)]


def test_public_client_that_would_act_for_itself(public_app: App) -> None:
    Client.objects.update(grant_types="client_credentials")
    says(
        public_app.post(grant_type="client_credentials"),
        "unauthorized_client",
        "A public client has no identity of its own to act with.",
    )


def test_client_refused(app: App) -> None:
    says(App(app.client, "x" * 40).redeem("y" * 40), "invalid_client", CLIENT_REFUSED)


@pytest.mark.parametrize(
    ("secret", "change", "reason"),
    [
        ("right", {"disabled_at": timezone.now()}, "the client is disabled"),
        ("none", {}, "the client is confidential and sent no secret"),
        ("right", {"type": Client.Type.PUBLIC}, "a public client has no secret, but one was sent"),
        ("wrong", {}, "no secret of the client that is still valid matches"),
    ],
)
def test_client_is_refused_for_a_reason(
    app: App, secret: str, change: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    Client.objects.update(**change)
    sent = {"right": app.secret, "wrong": "x" * 40, "none": None}[secret]
    with pytest.raises(ClientRefused) as refused:
        authenticate(ClientCredentials("photo-app", sent, "none"), found=None, now=timezone.now())
    assert (refused.value.error, refused.value.is_known) == ("invalid_client", True)
    refused.value.tell(kept=True)
    (line,) = (each for each in caplog.records if getattr(each, "event", "") == "client_authentication_failed")
    assert line.__dict__["oauth"]["reason"] == reason


def test_client_that_sends_no_secret_is_read_without_them(public_app: App, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1) as sent:
        authenticate(public_app.credentials, found=None, now=timezone.now())
    assert "clientsecret" not in sent[0]["sql"]


class TestDevice:
    @pytest.fixture
    def app(self, register: Callable[..., App]) -> App:
        return register(grant_types=f"refresh_token {DEVICE_CODE}")

    def poll(self, app: App, codes: Any) -> Any:
        return app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])

    @pytest.fixture
    def codes(self, app: App) -> Any:
        return app.post("/oauth/device_authorization", scope="read").json()

    def test_device_code_that_is_unknown(self, app: App) -> None:
        says(self.poll(app, {"device_code": "x"}), "invalid_grant", DEVICE_CODE_REFUSED)

    @pytest.mark.parametrize(
        ("change", "error", "description"),
        [
            ("denied", "access_denied", "The user denied the request."),
            ("expired", "expired_token", "The device code has expired; begin a new device authorization."),
            ("deactivated", "access_denied", "The user is deactivated."),
        ],
    )
    def test_device_that_gets_nothing(
        self,
        app: App,
        codes: Any,
        alice: Any,
        monkeypatch: pytest.MonkeyPatch,
        change: str,
        error: str,
        description: str,
    ) -> None:
        now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: now)
        alice.__class__.objects.update(is_active=False)
        changes = {
            "denied": {"denied_at": now},
            "expired": {"expires_at": now},
            "deactivated": {"approved_at": now, "user": alice},
        }
        DeviceCode.objects.update(**changes[change])
        says(self.poll(app, codes), error, description)

    def test_poll_before_its_time_is_told_the_new_interval(
        self, app: App, codes: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = timezone.now()
        says(
            self.poll(app, codes),
            "authorization_pending",
            "The user has not answered yet; poll again in 5 seconds.",
        )
        polled = DeviceCode.objects.get().polled_at
        assert polled is not None
        assert begun <= polled
        tolerated = polled + timedelta(seconds=4.5)
        monkeypatch.setattr(timezone, "now", lambda: tolerated - timedelta(microseconds=1))
        says(self.poll(app, codes), "slow_down", "Poll every 10 seconds at most from now on.")
        DeviceCode.objects.update(polled_at=polled, interval=5)
        monkeypatch.setattr(timezone, "now", lambda: tolerated)
        assert self.poll(app, codes).json()["error"] == "authorization_pending"


class TestCacheThatIsDown:
    @pytest.fixture(autouse=True)
    def down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise ConnectionError("no cache")

        monkeypatch.setattr(throttle, "cache", type("Down", (), dict.fromkeys(("add", "incr", "get"), fail)))

    def test_failure_is_answered_and_not_counted(self, app: App, caplog: pytest.LogCaptureFixture) -> None:
        assert App(app.client, "x" * 40).redeem("y" * 40).status_code == 401
        assert logged(caplog, "throttle_unavailable") == [("WARNING", "The cache did not count a failure", "")]
        assert "no cache" in caplog.text

    def test_no_device_code_is_tried(self, signed_in: Browser, caplog: pytest.LogCaptureFixture) -> None:
        page = signed_in.post("/oauth/device", {"user_code": "BCDF-GHJK"})
        assert page.status_code == 429
        assert logged(caplog, "throttle_unavailable") == [("ERROR", "The cache does not count failures", "")]
        assert "no cache" in caplog.text


class TestBrake:
    def test_says_when_the_window_ends(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(endpoint, "FAILURES", 2)
        clock = [1_800_000_000 + 100]  # a window of 300 seconds begins at a multiple of 300
        monkeypatch.setattr(throttle.time, "time", lambda: clock[0])

        def status() -> tuple[int, str | None]:
            answer = App(app.client, "x" * 40).redeem("y" * 40)
            return answer.status_code, answer.get("Retry-After")

        assert [status() for _ in range(3)] == [(401, None), (401, None), (429, "200")]
        clock[0] += 199
        assert status() == (429, "1")
        clock[0] += 1
        assert status() == (401, None)

    def test_forgets_a_window_that_is_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[float] = []
        monkeypatch.setattr(throttle.cache, "add", lambda key, value, timeout: kept.append(timeout))
        monkeypatch.setattr(throttle.cache, "incr", lambda key: 1)
        assert throttle.count_failure("client", "photo-app", limit=1) is None
        assert kept == [throttle.WINDOW_SECONDS]

    def test_first_guess_of_a_device_code_is_free(self) -> None:
        assert not throttle.is_blocked("user_code", "1", limit=1)


def test_refused_client_is_counted_by_its_name_if_it_is_known(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(endpoint, "count_failure", lambda kind, who, *, limit: counted.append((kind, who)))
    App(app.client, "x" * 40).redeem("y" * 40)
    App(Client(client_id="nobody"), "x" * 40).redeem("y" * 40)
    assert counted == [("client", "photo-app"), ("address", "127.0.0.1")]
