"""Whether a presented token is valid, and why not: its own end, its family's, its client's, its user's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from django_pkce_auth.server.live_tokens import LiveToken, find_live_token_with_client, live_token, lookup
from django_pkce_auth.server.models import AccessToken, Client, RefreshToken, TokenFamily
from tests.four_steps import App

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
KINDS = [AccessToken, RefreshToken]


def find_live_token(model: Any, raw: str, *, now: datetime) -> LiveToken | None:
    select, values = lookup(model, raw)
    return live_token(model, select.rows("default", **values), now=now)


@pytest.fixture
def raw(app: App, tokens: dict[str, Any]) -> Callable[[Any], str]:
    """Both tokens end an hour after ``NOW``, their authorization never."""
    TokenFamily.objects.update(expires_at=None)
    for model in KINDS:
        model.objects.update(expires_at=NOW + timedelta(hours=1))
    return lambda model: str(tokens["access_token" if model is AccessToken else "refresh_token"])


@pytest.fixture
def refusal(caplog: pytest.LogCaptureFixture) -> Callable[[], tuple[str, dict[str, str]]]:
    """The one line of the log, and its facts."""
    caplog.set_level("INFO", logger="django_pkce_auth")

    def read() -> tuple[str, dict[str, str]]:
        (line,) = (each for each in caplog.records if getattr(each, "event", "") == "token_refused")
        return line.getMessage(), line.__dict__["oauth"]

    return read


ENDS: dict[str, Callable[[Any], Any]] = {
    "expired": lambda model: model.objects.update(expires_at=NOW),
    "expired with its family": lambda model: TokenFamily.objects.update(expires_at=NOW),
    "revoked": lambda model: TokenFamily.objects.update(revoked_at=NOW, expires_at=NOW - MOMENT),
    "client disabled": lambda model: Client.objects.update(disabled_at=NOW),
    "user inactive": lambda model: get_user_model().objects.update(is_active=False),
}


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("end", ENDS)
def test_token_that_ended_is_none_and_the_log_says_why(
    raw: Callable[[Any], str], refusal: Any, model: Any, end: str
) -> None:
    ENDS[end](model)
    assert find_live_token(model, raw(model), now=NOW) is None
    reason = end.removesuffix(" with its family")
    family = str(TokenFamily.objects.get().pk)
    facts = {"reason": reason, "client_id": "photo-app", "family": family}
    assert refusal() == (f"A token is refused: {reason}", facts)


def test_token_that_is_unknown_is_none_and_the_log_says_so(db: None, refusal: Any) -> None:
    assert find_live_token(AccessToken, "unknown", now=NOW) is None
    assert refusal() == ("A token is refused: unknown", {"reason": "unknown"})


def test_refresh_token_that_was_used_is_none_and_the_log_says_so(raw: Callable[[Any], str], refusal: Any) -> None:
    RefreshToken.objects.update(superseded_at=NOW)
    assert find_live_token(RefreshToken, raw(RefreshToken), now=NOW) is None
    assert refusal()[1]["reason"] == "superseded"


@pytest.mark.parametrize("model", KINDS)
def test_token_is_valid_to_the_last_moment_of_whatever_ends_first(raw: Callable[[Any], str], model: Any) -> None:
    end = NOW + timedelta(minutes=30)
    for change, last in (({}, NOW + timedelta(hours=1)), ({"expires_at": end}, end)):
        if change:
            TokenFamily.objects.update(**change)
        found = find_live_token(model, raw(model), now=last - MOMENT)
        assert found is not None
        assert found.ends_at == last
        assert find_live_token(model, raw(model), now=last) is None


def test_token_of_a_person_is_told_whose_and_of_which_client(
    raw: Callable[[Any], str], alice: Any, django_assert_num_queries: Any
) -> None:
    Client.objects.update(service_user=alice)
    with django_assert_num_queries(1):
        found = find_live_token_with_client(raw(AccessToken), now=NOW)
        assert found is not None
        assert (found.user, found.service_user) == (alice, None)
        assert (found.client_id, found.client().name) == ("photo-app", "Photo App")
    assert found.user.email == alice.email
    with django_assert_num_queries(1):
        named = find_live_token(AccessToken, raw(AccessToken), now=NOW)
        assert named is not None
        assert named.user.username == "alice"


def test_client_is_read_along_but_for_what_its_pages_show(
    raw: Callable[[Any], str], django_assert_num_queries: Any
) -> None:
    Client.objects.update(metadata={"tier": "gold"}, first_party=True, policy_uri="https://app.example/policy")
    with django_assert_num_queries(1):
        found = find_live_token_with_client(raw(AccessToken), now=NOW)
        assert found is not None
        client = found.client()
        assert (client.name, client.metadata, client.first_party) == ("Photo App", {"tier": "gold"}, True)
        assert (client.verified_at, client.service_user_id, client.scopes) == (None, None, ("read", "write", "profile"))
    with django_assert_num_queries(1):
        assert client.policy_uri == "https://app.example/policy"


@pytest.mark.parametrize("acts", [True, False])
def test_token_without_a_person_is_told_who_acts(raw: Callable[[Any], str], alice: Any, acts: bool) -> None:
    TokenFamily.objects.update(user=None)
    Client.objects.update(service_user=alice if acts else None)
    found = find_live_token_with_client(raw(AccessToken), now=NOW)
    assert found is not None
    assert (found.user, found.service_user) == (None, alice if acts else None)
    named = find_live_token(AccessToken, raw(AccessToken), now=NOW)
    assert named is not None
    assert (named.user, named.service_user) == (None, alice if acts else None)
