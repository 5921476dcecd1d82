"""Disconnect: here in any case, at the provider if it answers (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.client.disconnect import disconnect as end
from django_pkce_auth.client.errors import ReconnectRequired
from django_pkce_auth.client.models import Connection
from django_pkce_auth.signals import connection_removed
from django_pkce_auth.testing import fake_provider
from django_pkce_auth.transport import Answer, TransportError
from tests.client.acme import ACCESS_TOKEN, REFRESH_TOKEN, TOKEN_URL, TOKENS, Acme, Sent, as_json, error

REVOKE_URL = "https://acme.example/oauth/revoke"


@pytest.fixture(autouse=True)
def revocation(pkce_auth: Any, acme: Acme) -> None:
    pkce_auth.provider(revoke_url=REVOKE_URL)
    acme.answers[REVOKE_URL] = Answer(200, b"")


def disconnect(browser: Browser, connection: Connection) -> Any:
    return browser.post("/connect/", {"connection": connection.pk})


def test_page_asks_before_it_disconnects(signed_in: Browser, connection: Connection) -> None:
    link = BeautifulSoup(signed_in.get("/connect/").content, "html.parser").select_one(
        f"a[href='?disconnect={connection.pk}']"
    )
    assert link is not None
    page = signed_in.get(f"/connect/?disconnect={connection.pk}")
    assert "Disconnect your Acme account?" in page.content.decode()
    assert "alice@acme" in page.content.decode()
    assert Connection.objects.exists()


def test_both_tokens_are_revoked_at_the_provider(signed_in: Browser, connection: Connection, acme: Acme) -> None:
    response = disconnect(signed_in, connection)
    assert response.status_code == 302
    assert not Connection.objects.exists()
    assert [sent.form for sent in acme.asked(REVOKE_URL)] == [{"token": REFRESH_TOKEN}, {"token": ACCESS_TOKEN}]
    assert all(sent.headers["Authorization"].startswith("Basic ") for sent in acme.asked(REVOKE_URL))


@pytest.mark.parametrize(
    "answer", [TransportError("https://acme.example did not answer."), Answer(503, b""), Answer(400, b"{}")]
)
def test_provider_that_does_not_confirm_is_said_and_the_connection_is_gone(
    answer: Any, signed_in: Browser, connection: Connection, acme: Acme
) -> None:
    acme.answers[REVOKE_URL] = answer
    response = disconnect(signed_in, connection)
    assert "did not confirm" in response.content.decode()
    assert not Connection.objects.exists()


def test_token_that_is_gone_already_counts_as_revoked(signed_in: Browser, connection: Connection, acme: Acme) -> None:
    def as_google(sent: Sent) -> Answer:
        is_first = len(acme.asked(REVOKE_URL)) == 1
        return Answer(200, b"{}") if is_first else error("invalid_token", "Token expired or revoked")

    acme.answers[REVOKE_URL] = as_google
    assert disconnect(signed_in, connection).status_code == 302
    assert len(acme.asked(REVOKE_URL)) == 2


def test_provider_without_revocation_is_said(signed_in: Browser, connection: Connection, pkce_auth: Any) -> None:
    pkce_auth.provider(revoke_url=None)
    assert "did not confirm" in disconnect(signed_in, connection).content.decode()
    assert not Connection.objects.exists()


def test_provider_that_left_the_settings_can_be_disconnected(
    signed_in: Browser, connection: Connection, pkce_auth: Any
) -> None:
    pkce_auth(PROVIDERS={})
    assert signed_in.get("/connect/").status_code == 200
    assert "did not confirm" in disconnect(signed_in, connection).content.decode()
    assert not Connection.objects.exists()


def test_address_to_revoke_at_is_discovered(
    signed_in: Browser, connection: Connection, acme: Acme, pkce_auth: Any
) -> None:
    pkce_auth.provider(authorize_url=None, token_url=None, revoke_url=None)
    document = {
        "issuer": "https://acme.example",
        "authorization_endpoint": "https://acme.example/authorize",
        "token_endpoint": "https://acme.example/token",
        "revocation_endpoint": "https://acme.example/ends",
        "code_challenge_methods_supported": ["S256"],
    }
    acme.answers["https://acme.example/.well-known/oauth-authorization-server"] = as_json(document)
    acme.answers["https://acme.example/ends"] = Answer(200, b"")
    assert disconnect(signed_in, connection).status_code == 302
    assert len(acme.asked("https://acme.example/ends")) == 2


def test_what_a_provider_was_not_told_is_logged_by_number(
    signed_in: Browser, connection: Connection, acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    acme.answers[REVOKE_URL] = TransportError("https://acme.example did not answer.")
    disconnect(signed_in, connection)
    (record,) = [record for record in caplog.records if vars(record).get("event") == "revocation_unconfirmed"]
    start = f"Connection {connection.pk} was removed here, but the provider could not be told: "
    assert record.getMessage().startswith(start)
    assert "did not answer" in record.getMessage()


def test_refresh_under_way_leaves_nothing_alive_at_the_provider(signed_in: Browser) -> None:
    """The provider has given new tokens by then, which the one who disconnects can't know."""
    with fake_provider() as provider:
        connection = provider.connect(signed_in)
        said, give = [], provider._refresh

        def refresh(sent: Any) -> Answer:
            answer = give(sent)
            said.append(end(Connection.objects.get(), settings=conf.settings(), transport=provider))
            return answer

        provider._refresh = refresh  # type: ignore[method-assign]
        with pytest.raises(ReconnectRequired, match="was removed"):
            connection.access_token(now=timezone.now() + timedelta(hours=2))
        assert said == [True]
        assert not provider._refresh_tokens
        assert not provider._access_tokens


NEW = {"access_token": "new-access-token-0123456789", "refresh_token": "new-refresh-token-0123456789"}


def due(acme: Acme, change: Callable[[], object], members: object = TOKENS | NEW) -> Connection:
    """A connection that needs a refresh, during which ``change`` happens here."""

    def answer(_: Sent) -> Answer:
        change()
        return as_json(members)

    acme.answers[TOKEN_URL] = answer
    Connection.objects.update(access_token_expires_at=timezone.now())
    return Connection.objects.get()


@pytest.mark.parametrize("unwilling", [TransportError("https://acme.example did not answer."), Answer(503, b"")])
def test_provider_that_does_not_take_new_tokens_back_is_a_line_of_the_log(
    unwilling: Any, connection: Connection, acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    acme.answers[REVOKE_URL] = unwilling
    with pytest.raises(ReconnectRequired, match="was removed"):
        due(acme, Connection.objects.all().delete).access_token()
    assert acme.asked(REVOKE_URL)[0].form == {"token": NEW["refresh_token"]}
    *_, line = (each for each in caplog.records if vars(each).get("event") == "revocation_unconfirmed")
    assert line.getMessage() == (
        f"Connection {connection.pk} was removed during a refresh, "
        "and acme did not confirm that the new tokens are revoked"
    )


def test_access_token_alone_is_revoked_where_the_provider_gave_no_other(connection: Connection, acme: Acme) -> None:
    members = {"access_token": NEW["access_token"], "token_type": "Bearer"}
    with pytest.raises(ReconnectRequired):
        due(acme, Connection.objects.all().delete, members).access_token()
    assert [sent.form for sent in acme.asked(REVOKE_URL)] == [{"token": NEW["access_token"]}]


def test_connection_that_was_made_again_during_a_refresh_revokes_nothing(connection: Connection, acme: Acme) -> None:
    """To revoke one token ends all of a user's at some providers."""
    later = timezone.now() + timedelta(hours=1)
    stored = partial(Connection.objects.update, access_token_expires_at=later, updated_at=timezone.now())
    assert due(acme, stored).access_token() == ACCESS_TOKEN
    assert acme.asked(REVOKE_URL) == []


def test_connection_of_another_user_is_not_found(connection: Connection, bob: Any) -> None:
    browser = Browser()
    browser.force_login(bob)
    assert disconnect(browser, connection).status_code == 404
    assert browser.get(f"/connect/?disconnect={connection.pk}").status_code == 404
    assert Connection.objects.exists()


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "1\0", "²"])
def test_nonsense_number_is_not_found(number: str, signed_in: Browser, connection: Connection) -> None:
    assert signed_in.post("/connect/", {"connection": number}).status_code == 404
    assert Connection.objects.exists()


def test_disconnect_needs_a_csrf_token(connection: Connection, alice: Any) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert disconnect(browser, connection).status_code == 403
    assert Connection.objects.exists()


def test_signal_follows_the_commit(
    signed_in: Browser, connection: Connection, django_capture_on_commit_callbacks: Any
) -> None:
    heard = []

    def removed(connection: Connection, user: Any, **_: Any) -> None:
        heard.append((connection.provider, user.username))

    connection_removed.connect(removed, sender=Connection)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            disconnect(signed_in, connection)
    finally:
        connection_removed.disconnect(removed, sender=Connection)
    assert heard == [("acme", "alice")]


def test_tokens_that_a_refresh_stored_since_the_row_was_read_are_revoked(connection: Connection, acme: Acme) -> None:
    Connection.objects.update(raw_refresh_token="newer-refresh-token", raw_access_token="newer-access-token")
    assert end(connection, settings=conf.settings(), transport=acme)
    assert [sent.form["token"] for sent in acme.asked(REVOKE_URL)] == ["newer-refresh-token", "newer-access-token"]


def test_connection_that_another_request_removed_is_left_to_it(
    connection: Connection, acme: Acme, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as told:
        for _ in range(2):
            assert end(connection, settings=conf.settings(), transport=acme)
    assert len(told) == 1
    assert len(acme.asked(REVOKE_URL)) == 2
