"""What a replay revokes stays revoked, though its own request fails: with real commits, and under ATOMIC_REQUESTS."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from django_pkce_auth.server.grants import authorization_code as grant
from django_pkce_auth.server.models import TokenFamily
from tests.four_steps import App
from tests.server.test_token_request import refused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", request.param)


def test_code_replayed_revokes_for_good(requests: None, app: App, code: str, opens: Any) -> None:
    tokens = app.redeem(code).json()
    assert opens(tokens["access_token"])
    refused(app.redeem(code), "invalid_grant")
    assert not opens(tokens["access_token"])
    refused(app.refresh(tokens["refresh_token"]), "invalid_grant", "revoked")


def test_refresh_token_reused_revokes_for_good(requests: None, app: App, code: str, opens: Any) -> None:
    first = app.redeem(code).json()
    second = app.refresh(first["refresh_token"]).json()
    third = app.refresh(second["refresh_token"]).json()
    refused(app.refresh(first["refresh_token"]), "invalid_grant")
    assert not opens(third["access_token"])
    refused(app.refresh(third["refresh_token"]), "invalid_grant", "revoked")


def test_code_lost_to_another_request_leaves_no_family_behind(
    requests: None, app: App, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both requests read the code unredeemed; the one that loses the claim must leave no trace."""
    real, winner = grant.find_code, []

    def find(raw: str, **options: Any) -> Any:
        stale = real(raw, **options)
        if not winner:
            winner.append(None)
            winner.append(app.redeem(code).json())
        return stale

    monkeypatch.setattr(grant, "find_code", find)
    refused(app.redeem(code), "invalid_grant", "already redeemed")
    assert winner[1]["access_token"]
    assert TokenFamily.objects.count() == 1
    assert TokenFamily.objects.get().revoked_reason == TokenFamily.Reason.REPLAY


def test_replay_that_ends_in_a_fault_revokes_for_good(
    requests: None, app: App, code: str, opens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response commits even under ATOMIC_REQUESTS; what rolls back is an exception, such as a receiver's."""
    tokens = app.redeem(code).json()

    def fail(*args: object, **facts: object) -> None:
        raise RuntimeError("after the revocation")

    monkeypatch.setattr(grant, "record", fail)
    with pytest.raises(RuntimeError, match="after the revocation"):
        app.redeem(code)
    assert not opens(tokens["access_token"])
