"""Storing what a flow brought: which row it belongs to, whatever others there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client import connections
from django_pkce_auth.client.models import Connection
from tests.client.acme import ACCESS_TOKEN, ACCOUNT, CODE, USERINFO_URL, Acme, as_json, come_back, connect, parameters


def test_account_that_another_request_stored_meanwhile_is_found(
    signed_in: Browser, connection: Connection, acme: Acme, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Connection | None] = []

    def look(*arguments: Any) -> Connection | None:
        looks.append(existing(*arguments) if looks else None)
        return looks[-1]

    existing = connections._existing
    monkeypatch.setattr(connections, "_existing", look)
    acme.tokens(access_token="second-access-token")
    assert connect(signed_in).status_code == 302
    after = Connection.objects.get()
    assert looks == [None, after]
    assert (after.pk, after.user, after.raw_access_token) == (connection.pk, alice, "second-access-token")
    assert after.updated_at > connection.updated_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("had_it", [True, False])
def test_user_who_was_removed_meanwhile_gets_a_page_and_no_server_error(
    signed_in: Browser, acme: Acme, alice: Any, django_user_model: Any, had_it: bool, log: Any
) -> None:
    if had_it:
        connect(signed_in)

    def removed(_: object) -> Any:
        django_user_model.objects.filter(pk=alice.pk).delete()
        return as_json(ACCOUNT)

    acme.answers[USERINFO_URL] = removed
    response = connect(signed_in)
    assert response.status_code == 400
    assert "Nothing was connected" in response.content.decode()
    assert log.reasons == ["the user was removed meanwhile"]
    assert not Connection.objects.exists()


@pytest.fixture
def nameless(alice: Any, bob: Any, pkce_auth: Any) -> list[Connection]:
    """Connections at a provider that names no account, all being refreshed; Alice has the last three, one of another
    provider."""
    pkce_auth.provider(userinfo_url=None)
    claim = timezone.now() + timedelta(seconds=10)
    rows = [(bob, "acme"), (alice, "other"), (alice, "acme"), (alice, "acme")]
    return [
        Connection.objects.create(user=user, provider=provider, raw_access_token="old", refresh_claimed_until=claim)
        for user, provider in rows
    ]


@pytest.mark.parametrize("named", [None, 3], ids=["none named", "second named"])
def test_account_without_a_name_is_written_to_its_own_row_alone(
    named: int | None, nameless: list[Connection], signed_in: Browser
) -> None:
    mine = nameless[named or 2]
    asked = parameters(signed_in.post("/connect/acme/", {"connection": mine.pk} if named else {}))
    assert come_back(signed_in, code=CODE, state=asked["state"]).status_code == 302
    after = {row.pk: row for row in Connection.objects.all()}
    assert after.pop(mine.pk).raw_access_token == ACCESS_TOKEN
    assert [row.raw_access_token for row in after.values()] == ["old"] * 3
    # Without a name it may be any of hers at this provider, so that all of them are held.
    held = [row for row in nameless if after.get(row.pk) and after[row.pk].refresh_claimed_until is None]
    assert held == ([] if named else [nameless[3]])


def test_account_is_written_to_the_row_of_its_own_issuer(signed_in: Browser, pkce_auth: Any) -> None:
    assert connect(signed_in).status_code == 302
    pkce_auth.provider(issuer="https://moved.example")
    assert connect(signed_in).status_code == 302
    assert sorted(Connection.objects.values_list("issuer", flat=True)) == [
        "https://acme.example",
        "https://moved.example",
    ]
