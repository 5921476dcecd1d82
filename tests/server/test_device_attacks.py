"""The device grant against a stranger who polls, guesses, or sends somebody a code (RFC 8628 §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.protocol.device import DEVICE_CODE, read_user_code
from django_pkce_auth.secrets import digest
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.device import approve_device
from django_pkce_auth.server.models import Client, Consent, DeviceCode, TokenFamily
from tests.four_steps import App, approve
from tests.server.test_device import codes, enter, poll, tv
from tests.server.test_token_request import refused

__all__ = ["codes", "tv"]  # fixtures


def ask(app: App, device_code: str) -> Any:
    return app.post(grant_type=DEVICE_CODE, device_code=device_code)


def test_codes_are_stored_as_digests_only(codes: dict[str, Any]) -> None:
    row = DeviceCode.objects.values().get()
    user_code = read_user_code(codes["user_code"])
    assert user_code
    assert (row["digest"], row["user_code_digest"]) == (digest(codes["device_code"]), digest(user_code))
    assert codes["device_code"] not in str(row)
    assert user_code not in str(row)


def test_approved_code_is_redeemed_once_rfc8628_3_5(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    enter(signed_in, codes["user_code"], "approve")
    assert "access_token" in poll(tv, codes)
    for _ in range(3):
        assert poll(tv, codes)["error"] == "invalid_grant"
    assert TokenFamily.objects.count() == 1


def test_answer_is_not_cached_and_errors_are_400(tv: App, codes: dict[str, Any]) -> None:
    refused(ask(tv, codes["device_code"]), "authorization_pending")
    refused(ask(tv, codes["device_code"]), "slow_down")
    refused(ask(tv, "pkce_dc_" + "x" * 43), "invalid_grant")
    refused(tv.post(grant_type=DEVICE_CODE), "invalid_request", "device_code is missing")


def test_each_early_poll_adds_five_seconds_and_patience_is_rewarded_rfc8628_3_5(
    tv: App, codes: dict[str, Any], later: Callable[..., None]
) -> None:
    errors = []
    for seconds in (0, 1, 9, 15, 20):
        later(seconds=seconds)
        errors.append(ask(tv, codes["device_code"]).json()["error"])
    pending, slow = "authorization_pending", "slow_down"
    # The interval is 5, 10, 15, and stays 15 for who keeps to it.
    assert errors == [pending, slow, slow, pending, pending]
    assert DeviceCode.objects.get().interval == 15


def test_early_poll_of_an_approved_code_is_served(tv: App, codes: dict[str, Any], signed_in: Browser) -> None:
    ask(tv, codes["device_code"])
    enter(signed_in, codes["user_code"], "approve")
    assert ask(tv, codes["device_code"]).status_code == 200


@pytest.mark.parametrize("public", [True, False])
def test_another_client_neither_gets_nor_spoils_the_code(
    tv: App, codes: dict[str, Any], register: Callable[..., App], signed_in: Browser, public: bool
) -> None:
    thief = register(client_id="thief", public=public, grant_types=f"refresh_token {DEVICE_CODE}")
    refused(ask(thief, codes["device_code"]), "invalid_grant")
    refused(ask(thief, codes["device_code"]), "invalid_grant")
    assert DeviceCode.objects.get().interval == 5
    enter(signed_in, codes["user_code"], "approve")
    refused(ask(thief, codes["device_code"]), "invalid_grant")
    assert "access_token" in poll(tv, codes)


def test_confidential_device_needs_its_secret(register: Callable[..., App], signed_in: Browser) -> None:
    box = register(client_id="box", grant_types=DEVICE_CODE)
    given: Any = box.post("/oauth/device_authorization", scope="read")
    enter(signed_in, given.json()["user_code"], "approve")
    box.secret = None
    refused(ask(box, given.json()["device_code"]), "invalid_client", status=401)
    refused(box.post("/oauth/device_authorization", scope="read"), "invalid_client", status=401)


def test_client_without_the_refresh_grant_gets_no_refresh_token(
    register: Callable[..., App], signed_in: Browser
) -> None:
    clock = register(client_id="clock", public=True, grant_types=DEVICE_CODE)
    given: Any = clock.post("/oauth/device_authorization", scope="read")
    enter(signed_in, given.json()["user_code"], "approve")
    assert "refresh_token" not in ask(clock, given.json()["device_code"]).json()


@pytest.mark.parametrize("scope", ["admin", '"', "read admin"])
def test_scope_beyond_the_clients_is_refused(tv: App, scope: str) -> None:
    refused(tv.post("/oauth/device_authorization", scope=scope), "invalid_scope")
    assert not DeviceCode.objects.exists()


@pytest.mark.parametrize("path", ["?user_code={}", "?user_code={}&decision=approve"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_link_with_the_code_approves_nothing_rfc8628_5_4(
    tv: App, codes: dict[str, Any], signed_in: Browser, path: str, method: str
) -> None:
    Consent.objects.create(user_id=signed_in.session["_auth_user_id"], client=tv.client, scope="read write")
    getattr(signed_in, method)("/oauth/device" + path.format(codes["user_code"]))
    signed_in.post("/oauth/device" + path.format(codes["user_code"]), {"user_code": codes["user_code"]})
    assert poll(tv, codes)["error"] == "authorization_pending"


def test_page_asks_and_warns_even_a_first_party_device_that_was_allowed_before(
    tv: App, codes: dict[str, Any], signed_in: Browser
) -> None:
    Client.objects.update(first_party=True)
    Consent.objects.create(user_id=signed_in.session["_auth_user_id"], client=tv.client, scope="read write")
    text = enter(signed_in, codes["user_code"]).content.decode()
    assert "If somebody sent you this code, choose Deny." in text
    assert codes["user_code"] in text
    assert poll(tv, codes)["error"] == "authorization_pending"


@pytest.mark.parametrize("decision", ["Approve", "yes", "1", "approve "])
def test_decision_that_is_neither_decides_nothing(
    tv: App, codes: dict[str, Any], signed_in: Browser, decision: str
) -> None:
    enter(signed_in, codes["user_code"], decision)
    assert poll(tv, codes)["error"] == "authorization_pending"


@pytest.mark.parametrize(
    "form", [{"shown": "read"}, {"scope": ["profile"]}, {"shown": "read write", "scope": []}, {"scope": ["read", "x"]}]
)
def test_form_that_does_not_fit_what_was_shown_approves_nothing(
    tv: App, codes: dict[str, Any], signed_in: Browser, form: dict[str, Any]
) -> None:
    assert enter(signed_in, codes["user_code"], "approve", **form).status_code == 400
    assert poll(tv, codes)["error"] == "authorization_pending"
    assert not Consent.objects.exists()


@pytest.mark.parametrize("first", ["approve", "deny"])
@pytest.mark.parametrize("second", ["approve", "deny", ""])
def test_second_user_can_not_answer_an_answered_code(
    tv: App, codes: dict[str, Any], signed_in: Browser, django_user_model: Any, first: str, second: str
) -> None:
    enter(signed_in, codes["user_code"], first)
    mallory = Browser()
    mallory.force_login(django_user_model.objects.create_user("mallory"))
    answer = enter(mallory, codes["user_code"], second)
    assert answer.status_code == 400
    assert "Photo App" not in answer.content.decode()
    if first == "approve":
        assert DeviceCode.objects.get().user.get_username() == "alice"
        assert "access_token" in poll(tv, codes)
    else:
        assert poll(tv, codes)["error"] == "access_denied"
    assert not Consent.objects.filter(user__username="mallory").exists()


def test_answer_goes_with_the_account_that_gives_it(
    tv: App, codes: dict[str, Any], signed_in: Browser, django_user_model: Any
) -> None:
    """The page was opened by alice; bob signed in behind it, and it is bob who answers."""
    enter(signed_in, codes["user_code"])
    signed_in.force_login(django_user_model.objects.create_user("bob"))
    enter(signed_in, codes["user_code"], "approve")
    assert DeviceCode.objects.get().user.get_username() == "bob"


def test_session_that_ended_asks_to_sign_in_and_approves_nothing(
    tv: App, codes: dict[str, Any], signed_in: Browser
) -> None:
    signed_in.logout()
    assert enter(signed_in, codes["user_code"], "approve")["Location"].startswith("/login/")
    assert poll(tv, codes)["error"] == "authorization_pending"


@pytest.mark.parametrize("when", ["waiting", "approved"])
def test_client_disabled_ends_the_code(tv: App, codes: dict[str, Any], signed_in: Browser, when: str) -> None:
    if when == "approved":
        enter(signed_in, codes["user_code"], "approve")
    Client.objects.update(disabled_at=timezone.now())
    refused(ask(tv, codes["device_code"]), "invalid_client", status=401)
    assert enter(signed_in, codes["user_code"], "approve").status_code == 400


@pytest.mark.parametrize("when", ["waiting", "approved"])
def test_code_that_expired_gives_nothing_even_if_it_was_approved(
    tv: App, codes: dict[str, Any], signed_in: Browser, later: Callable[..., None], when: str
) -> None:
    if when == "approved":
        enter(signed_in, codes["user_code"], "approve")
    later(minutes=10)
    assert enter(signed_in, codes["user_code"], "approve").status_code == 400
    assert poll(tv, codes)["error"] == "expired_token"


@pytest.mark.parametrize("what", ["withdrawn", "deleted"])
def test_consent_withdrawn_or_user_deleted_before_the_poll_gives_nothing(
    tv: App, codes: dict[str, Any], signed_in: Browser, alice: Any, what: str
) -> None:
    enter(signed_in, codes["user_code"], "approve")
    if what == "withdrawn":
        withdraw(user=alice, client=tv.client, now=timezone.now())
    else:
        alice.delete()
    assert poll(tv, codes)["error"] == "invalid_grant"
    assert not TokenFamily.objects.exists()


def test_guesses_of_one_user_do_not_stop_another(
    tv: App, codes: dict[str, Any], signed_in: Browser, django_user_model: Any
) -> None:
    mallory = Browser()
    mallory.force_login(django_user_model.objects.create_user("mallory"))
    assert [enter(mallory, "BCDF-GHJK").status_code for _ in range(12)] == [400] * 10 + [429] * 2
    assert enter(signed_in, codes["user_code"], "approve").status_code == 200
    assert "access_token" in poll(tv, codes)


@pytest.mark.parametrize(
    "typed", ["\0", "WDJB\0MJHT", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "'--"]
)
@pytest.mark.parametrize("path", ["/oauth/device", "/oauth/device/qr.svg"])
def test_user_code_of_any_kind_in_the_link_is_no_server_error(signed_in: Browser, typed: str, path: str) -> None:
    assert signed_in.get(path, {"user_code": typed}).status_code in (200, 404)


def test_authorization_code_and_device_code_are_not_taken_for_each_other(
    tv: App, codes: dict[str, Any], app: App, signed_in: Browser
) -> None:
    Client.objects.update(grant_types=f"authorization_code refresh_token {DEVICE_CODE}")
    code = approve(signed_in, app.link())["code"]
    refused(ask(app, code), "invalid_grant")
    refused(tv.redeem(codes["device_code"]), "invalid_grant")
    assert app.redeem(code).status_code == 200


def test_answer_that_comes_second_leaves_no_consent(
    tv: App, codes: dict[str, Any], alice: Any, signed_in: Browser
) -> None:
    waiting = DeviceCode.objects.get()
    enter(signed_in, codes["user_code"], "deny")
    current, now = conf.settings(), timezone.now()
    assert approve_device(waiting, user=alice, scopes=("read",), settings=current, now=now) is False
    assert not Consent.objects.exists()
    assert poll(tv, codes)["error"] == "access_denied"
