"""Coming back from the provider: what ends in a connection, and what ends in "start again"."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.db import connection as database
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.signals import connection_made
from tests.client.acme import ACCESS_TOKEN, CODE, REFRESH_TOKEN, TOKEN_URL, Acme, begin, come_back, connect, error

START_AGAIN = "start again"
COOKIE = "__Host-pkce_auth"


def refused(response: Any, status: int = 400) -> str:
    """A friendly page, not cached, that gives no address away; return its text."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("text/html")
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "no-referrer"
    page = response.content.decode()
    assert "Not connected" in page
    return page


def test_success_stores_the_connection_and_goes_on(signed_in: Browser, alice: Any) -> None:
    response = connect(signed_in, next="/albums?page=2")
    assert (response.status_code, response["Location"]) == (302, "/albums?page=2")
    connection = Connection.objects.get()
    assert connection.user == alice
    assert (connection.provider, connection.issuer, connection.subject) == ("acme", "https://acme.example", "42")
    assert (connection.label, connection.status) == ("alice@acme", "active")
    assert connection.scopes == ("photos", "profile")
    assert connection.raw_refresh_token == REFRESH_TOKEN
    assert timedelta(seconds=3590) < connection.access_token_expires_at - timezone.now() <= timedelta(seconds=3600)
    assert connection.access_token() == ACCESS_TOKEN


def test_success_without_next_goes_to_the_accounts_i_connected(signed_in: Browser) -> None:
    assert connect(signed_in)["Location"] == "/connect/"


def test_tokens_verifier_and_state_are_in_no_table_readable(signed_in: Browser, acme: Acme) -> None:
    waiting, request = begin(signed_in), begin(signed_in)
    come_back(signed_in, code=CODE, state=request["state"])
    verifier = acme.asked()[0].form["code_verifier"]
    cookie = signed_in.cookies[COOKIE].value
    stored = everything_stored()
    assert "alice@acme" in stored
    for secret in (ACCESS_TOKEN, REFRESH_TOKEN, CODE, verifier, request["state"], waiting["state"], cookie):
        assert secret not in stored
        assert secret[:20] not in stored


def everything_stored() -> str:
    """Every value of every table, as raw SQL sees it."""
    rows = []
    with database.cursor() as cursor:
        for table in database.introspection.table_names():
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")  # noqa: S608
            rows += cursor.fetchall()
    return repr([bytes(v) if isinstance(v, memoryview) else v for row in rows for v in row])


def test_verifier_is_forgotten_once_an_attempt_is_taken(signed_in: Browser, acme: Acme) -> None:
    acme.answers[TOKEN_URL] = error("invalid_request")
    refused(connect(signed_in))
    assert ConnectAttempt.objects.get().code_verifier is None


def test_two_tabs_do_not_disturb_each_other(signed_in: Browser, acme: Acme) -> None:
    first, second = begin(signed_in, next="/first"), begin(signed_in, next="/second")
    assert come_back(signed_in, code=CODE, state=second["state"])["Location"] == "/second"
    assert come_back(signed_in, code=CODE, state=first["state"])["Location"] == "/first"
    assert len(acme.asked()) == 2
    assert Connection.objects.count() == 1


def test_back_button_after_success_goes_on_without_a_second_exchange(signed_in: Browser, acme: Acme) -> None:
    state = begin(signed_in, next="/albums")["state"]
    for _ in range(3):
        assert come_back(signed_in, code=CODE, state=state)["Location"] == "/albums"
    assert len(acme.asked()) == 1


def test_back_button_after_success_goes_on_also_when_the_attempt_has_run_out(signed_in: Browser) -> None:
    state = begin(signed_in, next="/albums")["state"]
    come_back(signed_in, code=CODE, state=state)
    ConnectAttempt.objects.update(expires_at=timezone.now())
    assert come_back(signed_in, code=CODE, state=state)["Location"] == "/albums"


def test_callback_that_comes_again_after_a_failure_says_start_again(signed_in: Browser, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]
    acme.answers[TOKEN_URL] = error("invalid_grant")
    refused(come_back(signed_in, code=CODE, state=state))
    acme.tokens()
    assert START_AGAIN in refused(come_back(signed_in, code=CODE, state=state))
    assert "used before" in log.text
    assert not Connection.objects.exists()
    assert len(acme.asked()) == 1


def test_session_flushed_between_needs_the_same_user_again(signed_in: Browser, alice: Any) -> None:
    state = begin(signed_in, next="/albums")["state"]
    signed_in.session.flush()
    assert START_AGAIN in refused(come_back(signed_in, code=CODE, state=state))
    signed_in.force_login(alice)
    assert come_back(signed_in, code=CODE, state=state)["Location"] == "/albums"


def test_attempts_put_nothing_into_the_session(signed_in: Browser) -> None:
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    key = signed_in.cookies["sessionid"].value
    before = dict(store(key).items())
    for _ in range(5):
        begin(signed_in)
    connect(signed_in)
    assert dict(store(key).items()) == before


def test_fifty_attempts_make_no_cookie_grow_with_cookie_sessions(alice: Any, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    browser = Browser()
    browser.force_login(alice)
    states = [begin(browser, next="/0")["state"]]
    cookies = sent_back(browser)
    states += [begin(browser, next=f"/{number}")["state"] for number in range(1, 50)]
    assert sent_back(browser) == cookies
    for number in (0, 49, 25):
        assert come_back(browser, code=CODE, state=states[number])["Location"] == f"/{number}"
    assert sent_back(browser) == cookies


def sent_back(browser: Browser) -> dict[str, str]:
    return {name: morsel.value for name, morsel in browser.cookies.items()}


def test_other_browser_of_the_same_user_is_refused(signed_in: Browser, alice: Any, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]
    other = Browser()
    other.force_login(alice)
    refused(come_back(other, code=CODE, state=state))
    assert "no attempt cookie" in log.text
    begin(other)
    refused(come_back(other, code=CODE, state=state))
    assert "another browser" in log.text
    assert not acme.asked()
    assert come_back(signed_in, code=CODE, state=state).status_code == 302


def test_other_user_in_the_same_browser_is_refused(signed_in: Browser, bob: Any, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]
    signed_in.force_login(bob)
    refused(come_back(signed_in, code=CODE, state=state))
    assert "another user" in log.text
    assert not acme.asked()
    assert not Connection.objects.exists()


def test_other_user_is_refused_also_after_the_attempt_ended_well(signed_in: Browser, bob: Any) -> None:
    state = begin(signed_in, next="/albums")["state"]
    come_back(signed_in, code=CODE, state=state)
    signed_in.force_login(bob)
    refused(come_back(signed_in, code=CODE, state=state))


def test_user_who_was_deactivated_meanwhile_is_refused(signed_in: Browser, alice: Any) -> None:
    state = begin(signed_in)["state"]
    alice.is_active = False
    alice.save()
    refused(come_back(signed_in, code=CODE, state=state))
    assert not Connection.objects.exists()


def test_attempt_that_has_run_out_is_refused(signed_in: Browser, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]
    ConnectAttempt.objects.update(expires_at=timezone.now())
    refused(come_back(signed_in, code=CODE, state=state))
    assert "expired" in log.text
    assert not acme.asked()


def test_attempt_lives_ten_minutes(signed_in: Browser) -> None:
    begin(signed_in)
    attempt = ConnectAttempt.objects.get()
    assert attempt.expires_at - attempt.created_at == timedelta(minutes=10)


def test_account_of_another_user_is_refused_and_stays_his(signed_in: Browser, bob: Any) -> None:
    browser = Browser()
    browser.force_login(bob)
    connect(browser)
    before = Connection.objects.get()
    page = refused(connect(signed_in), status=403)
    assert "<p>This Acme account is connected to another user here.</p>" in page
    after = Connection.objects.get()
    assert after.user == bob
    assert after.updated_at == before.updated_at


def test_connecting_again_keeps_the_row_and_mends_it(signed_in: Browser, connection: Connection, acme: Acme) -> None:
    Connection.objects.update(status="needs_reconnect", refresh_claimed_until=timezone.now() + timedelta(hours=1))
    acme.tokens(access_token="second-access-token", refresh_token=None, scope="photos")
    connect(signed_in)
    again = Connection.objects.get()
    assert (again.pk, again.status, again.scope) == (connection.pk, "active", "photos")
    assert again.access_token() == "second-access-token"
    # A provider that gives no refresh token at a repeated consent leaves the old one in force.
    assert again.raw_refresh_token == REFRESH_TOKEN
    assert again.refresh_claimed_until is None


def test_two_accounts_at_one_provider_are_two_connections(
    signed_in: Browser, connection: Connection, acme: Acme
) -> None:
    acme.account(sub="43", preferred_username="work@acme")
    connect(signed_in)
    assert sorted(Connection.objects.values_list("label", flat=True)) == ["alice@acme", "work@acme"]


def test_provider_without_userinfo_has_one_connection_a_user(signed_in: Browser, bob: Any, pkce_auth: Any) -> None:
    pkce_auth.provider(userinfo_url=None)
    connect(signed_in)
    connect(signed_in)
    other = Browser()
    other.force_login(bob)
    connect(other)
    assert sorted(Connection.objects.values_list("user__username", flat=True)) == ["alice", "bob"]


def test_signal_says_who_connected_after_the_commit(
    signed_in: Browser, django_capture_on_commit_callbacks: Any, alice: Any
) -> None:
    heard: list[tuple[Any, bool]] = []

    def hear(connection: Connection, created: bool, **_: Any) -> None:
        heard.append((connection.user, created))

    connection_made.connect(hear, sender=Connection)
    try:
        for _ in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                connect(signed_in)
    finally:
        connection_made.disconnect(hear, sender=Connection)
    assert heard == [(alice, True), (alice, False)]
