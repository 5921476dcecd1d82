"""What one authorization writes is written to its own rows, though another's look just the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.compiled import Insert
from django_pkce_auth.server import consent, purge
from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.grants import refresh_token
from django_pkce_auth.server.models import AuthorizationCode, Consent, DeviceCode, RefreshToken, TokenFamily
from django_pkce_auth.server.revoke import revoke_families
from django_pkce_auth.signals import family_revoked
from tests.four_steps import App, approve

SOON = timedelta(minutes=1)


@pytest.fixture
def bob(django_user_model: Any, db: None) -> Any:
    return django_user_model.objects.create_user(username="bob")


@pytest.fixture
def bobs(bob: Any) -> Browser:
    browser = Browser()
    browser.force_login(bob)
    return browser


def redeemed(app: App, browser: Browser) -> str:
    answer: Any = app.redeem(approve(browser, app.link())["code"])
    return str(answer.json()["refresh_token"])


def test_retry_is_counted_on_its_own_token(app: App, signed_in: Browser, bobs: Browser) -> None:
    mine, his = redeemed(app, signed_in), redeemed(app, bobs)
    for raw in (mine, his, mine):
        assert app.refresh(raw).status_code == 200
    families = {family.user.username: family for family in TokenFamily.objects.select_related("user")}
    assert {name: family.has_siblings for name, family in families.items()} == {"alice": True, "bob": False}
    spent = RefreshToken.objects.exclude(superseded_at=None)
    assert {token.family.user.username: token.retries for token in spent} == {"alice": 1, "bob": 0}


def test_token_that_is_kept_slides_alone_and_by_more_than_a_day(
    register: Callable[..., App], signed_in: Browser, bobs: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = register(rotates_refresh_tokens=False)
    mine, _ = redeemed(app, signed_in), redeemed(app, bobs)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    day = timedelta(days=1)
    full = now + timedelta(days=30)

    def after(end: datetime) -> dict[str, datetime]:
        RefreshToken.objects.update(expires_at=end)
        assert app.refresh(mine).status_code == 200
        return {token.family.user.username: token.expires_at for token in RefreshToken.objects.all()}

    assert after(full - day) == {"alice": full - day, "bob": full - day}
    sooner = full - day - timedelta(microseconds=1)
    assert after(sooner) == {"alice": full, "bob": sooner}


def test_end_that_another_process_moved_further_is_not_moved_back(
    register: Callable[..., App], signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = register(rotates_refresh_tokens=False)
    raw = redeemed(app, signed_in)
    RefreshToken.objects.update(expires_at=timezone.now() + SOON)
    far, real = timezone.now() + timedelta(days=60), refresh_token._slide

    def overtaken(*arguments: Any, **named: Any) -> None:
        RefreshToken.objects.update(expires_at=far)
        real(*arguments, **named)

    monkeypatch.setattr(refresh_token, "_slide", overtaken)
    assert app.refresh(raw).status_code == 200
    assert RefreshToken.objects.get().expires_at == far


class TestConsent:
    @pytest.fixture(autouse=True)
    def write_implies_read(self, settings: Any) -> None:
        scopes = settings.PKCE_AUTH["SCOPES"] | {"write": {"words": "Change your data", "implies": ["read"]}}
        settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": scopes}

    @pytest.fixture
    def consents(self, app: App, register: Callable[..., App], alice: Any, bob: Any) -> dict[tuple[str, str], Consent]:
        """Alice's and Bob's consents to two clients, all the same and long ago."""
        ago = datetime(2026, 1, 1, tzinfo=UTC)
        clients = [app.client, register(client_id="other").client]
        made = {
            (user.username, client.client_id): Consent.objects.create(user=user, client=client, scope="write")
            for user in (alice, bob)
            for client in clients
        }
        Consent.objects.update(created_at=ago, updated_at=ago)
        return made

    def test_implied_scope_is_added_without_a_question(
        self, app: App, signed_in: Browser, consents: dict[tuple[str, str], Consent]
    ) -> None:
        begun = timezone.now()
        assert signed_in.get(app.link()).status_code == 303
        mine = consents.pop(("alice", "photo-app"))
        mine.refresh_from_db()
        assert (mine.scope, mine.resource, mine.created_at.year) == ("write read", "", 2026)
        assert mine.updated_at >= begun
        for other in Consent.objects.exclude(pk=mine.pk):
            assert (other.scope, other.updated_at.year, other.updated_at.month) == ("write", 2026, 1)

    def test_implied_scope_is_added_at_its_own_resource(
        self, app: App, signed_in: Browser, settings: Any, consents: dict[tuple[str, str], Consent]
    ) -> None:
        tools = "https://testserver/tools"
        settings.PKCE_AUTH = settings.PKCE_AUTH | {"RESOURCES": {tools: "Tools"}}
        mine = consents["alice", "photo-app"]
        Consent.objects.filter(pk=mine.pk).update(scope="", resource=f"{tools} write")
        assert signed_in.get(f"{app.link()}&resource={tools}").status_code == 303
        mine.refresh_from_db()
        assert (mine.scope, mine.resource) == ("", f"{tools} write read")

    @pytest.mark.parametrize("changed", [{"scope": "profile"}, {"resource": "https://testserver/tools read"}])
    def test_answer_that_is_another_by_now_is_not_written_over(
        self, app: App, alice: Any, consents: Any, changed: dict[str, str]
    ) -> None:
        mine = consents["alice", "photo-app"]
        before = mine.remembered
        Consent.objects.filter(pk=mine.pk).update(**changed)
        now, row = (
            timezone.now(),
            {"digest": b"c" * 32, "code_challenge": "x" * 43, "redirect_uri": "x", "scope": "read"},
        )
        row |= {"client_id": app.client.pk, "user_id": alice.pk, "created_at": now, "expires_at": now + SOON}
        with pytest.raises(consent.ConsentGone):
            consent.remember(
                before,
                code=(Insert(AuthorizationCode), row),
                user=alice,
                client=app.client,
                scopes=("read",),
                resources=(),
                settings=conf.settings(),
                now=now,
                using="default",
                was_asked=False,
            )
        assert not AuthorizationCode.objects.exists()

    def test_withdrawal_ends_what_this_user_allowed_this_client(
        self, app: App, alice: Any, consents: dict[tuple[str, str], Consent]
    ) -> None:
        moment = {"created_at": timezone.now(), "expires_at": timezone.now() + SOON}
        number = 0
        for given in consents.values():
            family = TokenFamily.objects.create(client=given.client, user=given.user)
            for held in (None, family):
                number += 1
                both = {"digest": bytes([number]) * 32, "client": given.client, "user": given.user, "family": held}
                AuthorizationCode.objects.create(code_challenge="x" * 43, redirect_uri="x", **both, **moment)
                DeviceCode.objects.create(user_code_digest=bytes([number]) * 32, interval=5, **both, **moment)
        assert withdraw(user=alice, client=app.client, now=timezone.now()) == 1

        def left(model: Any, **only: Any) -> list[tuple[str, str]]:
            rows = model.objects.filter(**only).order_by("user__username", "client__client_id")
            return list(rows.values_list("user__username", "client__client_id"))

        everybody = sorted(consents)
        others = [key for key in everybody if key != ("alice", "photo-app")]
        assert left(Consent) == left(TokenFamily, revoked_at=None) == others
        for model in (AuthorizationCode, DeviceCode):
            assert left(model, family=None) == others
            assert left(model, family__isnull=False) == everybody


def test_revocation_of_several_tells_of_those_that_it_ended(
    app: App, alice: Any, django_assert_num_queries: Any, django_capture_on_commit_callbacks: Any
) -> None:
    now = timezone.now()
    rows = [TokenFamily.objects.create(client=app.client, user=alice) for _ in range(5)]
    others = {rows[0].pk: now - SOON, rows[1].pk: now}
    for pk, moment in others.items():
        TokenFamily.objects.filter(pk=pk).update(revoked_at=moment, revoked_reason="client")
    TokenFamily.objects.filter(pk=rows[2].pk).update(revoked_at=now - SOON, revoked_reason="admin")
    told: list[tuple[int, str, str, str]] = []

    def hear(family: int, client: Any, user: Any, reason: str, actor: str, **_: Any) -> None:
        told.append((family, client.client_id, user.username, actor))

    family_revoked.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(4):  # two are the savepoint's
            named = {"reason": TokenFamily.Reason.ADMIN, "now": now, "using": "default", "actor": alice}
            assert revoke_families(TokenFamily.objects.all(), **named) == 2
        assert sorted(pk for pk, *_ in told) == [rows[3].pk, rows[4].pk]
        assert {tuple(facts) for _, *facts in told} == {("photo-app", "alice", str(alice.pk))}
        with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(3):
            assert revoke_families(TokenFamily.objects.all(), **named) == 0
        assert len(told) == 2
    finally:
        family_revoked.disconnect(hear)


def test_purge_of_families_looks_no_further_than_its_keys(app: App, alice: Any) -> None:
    assert purge.family_keys() == (0, 0)
    for pk in (5, 5 + purge.KEYS):
        TokenFamily.objects.create(pk=pk, client=app.client, user=alice)
    assert purge.family_keys() == (5, 5 + purge.KEYS)
    assert purge.purge_families(after=4, limit=10) == (4 + purge.KEYS, 1)
    assert TokenFamily.objects.get().pk == 5 + purge.KEYS
    assert purge.purge_families(after=5, limit=1) == (5 + purge.KEYS, 1)
    assert purge.purge_families(after=5, limit=1) == (5 + purge.KEYS, 0)
