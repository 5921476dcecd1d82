"""Verified tokens in Django's cache: fewer queries, and an end is an end at once (``TOKEN_CACHE_LIFETIME``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.test import AsyncClient, override_settings
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.resource import BearerASGI, verified
from django_pkce_auth.resource.bearer import verify
from django_pkce_auth.resource.grant import Grant, Refused
from django_pkce_auth.resource.verified import _marks
from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from django_pkce_auth.server.revoke import revoke_families, revoke_family
from django_pkce_auth.testing import issue_access_token
from tests.four_steps import bearer

pytestmark = pytest.mark.django_db(transaction=True)
NOT_TAKEN = 401


@pytest.fixture(autouse=True)
def kept(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(verified._pauses, "end", 0.0)
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "TOKEN_CACHE_LIFETIME": 60}


@pytest.fixture
def raw(alice: Any) -> str:
    return issue_access_token(alice, ["read"])


def ask(raw: str, *, now: datetime | None = None) -> Grant:
    settings, now = conf.settings(), now or timezone.now()
    return verify(f"Bearer {raw}", scopes=("read",), resource=settings.resources.own, settings=settings, now=now)


def queries(raw: str, *, now: datetime | None = None) -> int:
    """Ask once, and return the SELECTs that it took; the note of the last use is none."""
    with CaptureQueriesContext(connection) as captured:
        ask(raw, now=now)
    return sum(query["sql"].startswith("SELECT") for query in captured)


def status(raw: str) -> int:
    return Browser().get("/api/read", headers=bearer(raw)).status_code


def test_second_request_makes_no_query(raw: str) -> None:
    assert [queries(raw) for _ in range(3)] == [1, 0, 0]


def test_without_the_setting_each_request_makes_its_query(raw: str, settings: Any) -> None:
    settings.PKCE_AUTH = {key: value for key, value in settings.PKCE_AUTH.items() if key != "TOKEN_CACHE_LIFETIME"}
    assert [queries(raw) for _ in range(3)] == [1, 1, 1]
    assert not any(key for key in cache._cache if "verified" in key)  # type: ignore[attr-defined]


def test_kept_grant_says_the_same(raw: str, alice: Any) -> None:
    Client.objects.update(service_user=get_user_model().objects.create(username="robot"))
    own = conf.settings().resources.own.identifier
    AccessToken.objects.update(resource=f"https://testserver/mcp {own}")
    first, second = ask(raw), ask(raw)
    for name in ("client_id", "scopes", "expires_at", "client", "user", "service_user", "subject", "resources"):
        assert getattr(first, name) == getattr(second, name), name
    assert second.acting_user == alice
    assert second.acting_user.is_authenticated


def test_kept_grant_of_a_client_alone_has_no_user(db: None) -> None:
    raw = issue_access_token(None, ["read"])
    ask(raw)
    grant = ask(raw)
    assert grant.user is None
    assert isinstance(grant.acting_user, AnonymousUser)


def ended_by(name: str) -> Callable[[Any], None]:
    def revoke(alice: Any) -> None:
        family = TokenFamily.objects.get()
        revoke_family(family.pk, reason=TokenFamily.Reason.USER, now=timezone.now(), using="default")

    def revoke_many(alice: Any) -> None:
        revoke_families(TokenFamily.objects.all(), reason=TokenFamily.Reason.ADMIN, now=timezone.now(), using="default")

    def admin(alice: Any) -> None:
        alice.is_superuser = alice.is_staff = True
        alice.save()
        browser = Browser()
        browser.force_login(alice)
        browser.post(
            "/admin/pkce_auth/tokenfamily/",
            {"action": "revoke", "_selected_action": [str(TokenFamily.objects.get().pk)]},
        )

    def disable(alice: Any) -> None:
        alice.is_superuser = alice.is_staff = True
        alice.save()
        browser = Browser()
        browser.force_login(alice)
        browser.post(
            "/admin/pkce_auth/client/", {"action": "disable", "_selected_action": [str(Client.objects.get().pk)]}
        )

    def deactivate(alice: Any) -> None:
        alice.is_active = False
        alice.save()

    def delete_user(alice: Any) -> None:
        alice.delete()

    def delete_client(alice: Any) -> None:
        Client.objects.get().delete()

    return dict(locals())[name]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "end", ["revoke", "revoke_many", "admin", "disable", "deactivate", "delete_user", "delete_client"]
)
def test_an_end_is_an_end_at_once(end: str, raw: str, alice: Any) -> None:
    assert [status(raw) for _ in range(2)] == [200, 200]
    ended_by(end)(alice)
    assert [status(raw) for _ in range(2)] == [NOT_TAKEN, NOT_TAKEN]


def test_user_who_is_active_again_is_let_in_again(raw: str, alice: Any) -> None:
    ask(raw)
    for active in (False, True):
        alice.is_active = active
        alice.save()
    assert [status(raw) for _ in range(2)] == [200, 200]


def test_service_user_who_is_deactivated_ends_it(db: None) -> None:
    raw = issue_access_token(None, ["read"])
    robot = get_user_model().objects.create(username="robot")
    client = Client.objects.get()
    client.service_user = robot
    client.save()
    cache.clear()
    ask(raw)
    assert ask(raw).acting_user == robot
    robot.is_active = False
    robot.save()
    with pytest.raises(Refused):
        ask(raw)


def test_entry_written_after_the_end_does_not_count(raw: str) -> None:
    """A request reads the token, then it is revoked, then the request writes what it read."""
    ask(raw)
    entries = {key: cache.get(key) for key in (name.split(":", 2)[2] for name in cache._cache)}  # type: ignore[attr-defined]
    revoke_family(TokenFamily.objects.get().pk, reason=TokenFamily.Reason.USER, now=timezone.now(), using="default")
    cache.set_many(entries)
    with pytest.raises(Refused):
        ask(raw)


def test_entry_dies_by_our_clock_and_with_the_token(raw: str) -> None:
    now, moment = timezone.now(), timedelta(microseconds=1)
    assert queries(raw, now=now) == 1
    assert queries(raw, now=now + timedelta(seconds=60) - moment) == 0
    assert queries(raw, now=now + timedelta(seconds=60)) == 1
    end = now + timedelta(seconds=30)
    TokenFamily.objects.update(expires_at=end)
    cache.clear()
    ask(raw, now=now)
    assert queries(raw, now=end - moment) == 0
    with pytest.raises(Refused):
        ask(raw, now=end)


def test_what_is_changed_behind_our_back_counts_within_the_lifetime(raw: str) -> None:
    """Raw SQL and bulk updates send no signal: the stated staleness, and no more than that."""
    ask(raw)
    TokenFamily.objects.update(revoked_at=timezone.now())
    assert ask(raw).scopes == ("read",)
    with pytest.raises(Refused):
        ask(raw, now=timezone.now() + timedelta(seconds=61))


def test_user_is_read_when_asked_for_and_is_nobody_once_gone(raw: str, alice: Any) -> None:
    ask(raw)
    grant = ask(raw)
    type(alice).objects.update(is_active=False)
    assert not grant.acting_user.is_authenticated


def test_cache_holds_no_secret_and_nothing_of_the_user(raw: str, alice: Any) -> None:
    ask(raw)
    stored = cache._cache  # type: ignore[attr-defined]
    everything = b"".join(key.encode() + value for key, value in stored.items())
    assert stored
    for secret in (raw, AccessToken.objects.get().digest.hex(), alice.password, alice.username):
        assert secret.encode() not in everything


class Down:
    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any, **kwargs: Any) -> Any:
            raise ConnectionError("no cache today")

        return fail


def test_cache_that_is_down_costs_a_query_and_no_more(
    raw: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("django_pkce_auth.resource.verified.cache", Down())
    assert [queries(raw) for _ in range(2)] == [1, 1]
    revoke_family(TokenFamily.objects.get().pk, reason=TokenFamily.Reason.USER, now=timezone.now(), using="default")
    assert status(raw) == NOT_TAKEN
    assert "may work for up to 60 more seconds" in caplog.text
    assert raw not in caplog.text


def test_cache_that_hangs_holds_one_request_up_and_not_all(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends is told to it all the same, and once it may have come back it is asked again."""
    asked: list[str] = []

    class Hanging:
        def __getattr__(self, name: str) -> Any:
            def hang(*args: Any, **kwargs: Any) -> Any:
                asked.append(name)
                time.sleep(verified.SLOW_SECONDS)
                raise TimeoutError

            return hang

    ask(raw)
    with monkeypatch.context() as hanging:
        hanging.setattr(verified, "cache", Hanging())
        hanging.setattr(verified, "PAUSE_SECONDS", 60)
        assert [queries(raw) for _ in range(3)] == [1, 1, 1]
        assert asked == ["get"]
        revoke_family(TokenFamily.objects.get().pk, reason=TokenFamily.Reason.USER, now=timezone.now(), using="default")
        assert asked == ["get", "set"]
        assert status(raw) == NOT_TAKEN
    assert 0 < verified._pauses["end"] - time.monotonic() <= 60
    monkeypatch.setitem(verified._pauses, "end", time.monotonic())
    other = issue_access_token(get_user_model().objects.get(), ["read"])
    assert [queries(other), queries(other)] == [1, 0]


@pytest.mark.parametrize("entry", [b"\x00", "text", 7, [], {}])
def test_entry_of_another_shape_is_none(raw: str, entry: Any) -> None:
    ask(raw)
    for key in [name.split(":", 2)[2] for name in cache._cache]:  # type: ignore[attr-defined]
        cache.set(key, entry)
    assert queries(raw) == 1


@pytest.mark.parametrize("member", ["at", "ends", "client_id", "scopes", "expires", "user", "resources"])
def test_entry_of_another_release_is_none(raw: str, member: str) -> None:
    ask(raw)
    for key in [name.split(":", 2)[2] for name in cache._cache]:  # type: ignore[attr-defined]
        entry = cache.get(key)
        entry.pop(member)
        cache.set(key, entry)
    assert queries(raw) == 1


def test_async_view_gets_its_user(raw: str, alice: Any) -> None:
    async def twice() -> list[bytes]:
        client = AsyncClient(authorization=f"Bearer {raw}")
        return [(await client.get("/guarded/async-function")).content for _ in range(2)]

    AccessToken.objects.update(scope="read profile")
    with override_settings(ROOT_URLCONF="tests.resource.guarded"):
        answers = async_to_sync(twice)()
    assert answers[0] == answers[1]
    assert b"alice" in answers[1]


def test_application_beside_django_reads_its_user_in_a_thread(raw: str, alice: Any) -> None:
    found: list[Any] = []

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        grant = scope["oauth"]
        found.append((grant.client_id, grant.scopes, await sync_to_async(lambda: grant.user.get_username())()))

    async def twice() -> None:
        for _ in range(2):
            scope = {"type": "http", "path": "/", "headers": [(b"authorization", f"Bearer {raw}".encode())]}
            await BearerASGI(mounted, "read")(scope, None, None)  # type: ignore[arg-type]

    async_to_sync(twice)()
    assert found == [("test-client", ("read",), "alice")] * 2


def test_marks_are_of_everything_that_can_end_it() -> None:
    entry = {"family": 1, "client": 2, "user": 3, "service_user": 4}
    assert [mark.partition("ended:")[2] for mark in _marks(entry)] == ["family:1", "client:2", "user:3", "user:4"]
