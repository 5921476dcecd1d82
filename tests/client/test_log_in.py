"""Logging in through an account at a provider."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError
from django.test import Client as Browser

from django_pkce_auth import conf
from django_pkce_auth.client import connections
from django_pkce_auth.client.errors import LoginRefused
from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.client.policy import Account, ClientPolicy
from django_pkce_auth.client.providers import get_provider
from tests.client.acme import CODE, USERINFO_URL, Acme, InProcessPolicy, as_json, begin, come_back, connect

CREATE_OFF = "No user here has connected this Acme account. Log in first, then connect it to your account."
NAMELESS = "Acme did not say which account it is, so nobody can be logged in with it."
SOMEBODY_ELSE = "You are signed in here as somebody else already. Log out first, then log in with this account."
DEACTIVATED = "The user that this account belongs to is deactivated."


def log_in(browser: Browser, **options: Any) -> Any:
    return connect(browser, login=True, **options)


def who(browser: Browser) -> str | None:
    return browser.session.get("_auth_user_id")


def refused(response: Any, browser: Browser, text: str, status: int = 403) -> None:
    assert response.status_code == status, response.content
    assert f"<p>{text}" in response.content.decode()
    assert who(browser) is None


def test_first_log_in_makes_a_user_where_the_setting_allows_it(db: None, django_user_model: Any) -> None:
    browser = Browser()
    response = log_in(browser, next="/albums")
    assert (response.status_code, response["Location"]) == (302, "/albums")
    user = django_user_model.objects.get()
    assert who(browser) == str(user.pk)
    assert user.username.startswith("acme-")
    assert not user.has_usable_password()
    assert not user.is_staff
    assert Connection.objects.get().user == user


def test_second_log_in_is_the_same_user(db: None, django_user_model: Any) -> None:
    one, two = Browser(), Browser()
    log_in(one)
    log_in(two)
    assert who(one) == who(two)
    assert django_user_model.objects.count() == 1


def test_user_who_connected_the_account_is_logged_in_by_it(connection: Connection, alice: Any) -> None:
    browser = Browser()
    log_in(browser)
    assert who(browser) == str(alice.pk)


def test_log_in_works_for_known_accounts_where_users_are_not_made(
    connection: Connection, alice: Any, pkce_auth: Any
) -> None:
    pkce_auth.provider(create_users=False)
    browser = Browser()
    log_in(browser)
    assert who(browser) == str(alice.pk)


def test_first_log_in_is_refused_where_users_are_not_made(db: None, pkce_auth: Any, django_user_model: Any) -> None:
    pkce_auth.provider(create_users=False)
    browser = Browser()
    refused(log_in(browser), browser, CREATE_OFF)
    assert not django_user_model.objects.exists()
    assert not Connection.objects.exists()


@pytest.mark.parametrize("field", ["email", "preferred_username", "login", "name"])
def test_nothing_that_a_person_can_choose_at_the_provider_matches_a_user(
    field: str, acme: Acme, django_user_model: Any, db: None
) -> None:
    victim = django_user_model.objects.create_superuser(username="admin", email="admin@example.com", password="x")
    acme.account(**{field: getattr(victim, "email" if field == "email" else "username"), "email_verified": True})
    browser = Browser()
    log_in(browser)
    assert who(browser) is not None
    assert who(browser) != str(victim.pk)
    assert django_user_model.objects.count() == 2


def test_name_of_a_new_user_can_not_be_taken_in_advance(acme: Acme, django_user_model: Any, db: None) -> None:
    log_in(Browser())
    first = django_user_model.objects.get()
    Connection.objects.all().delete()
    browser = Browser()
    log_in(browser)
    assert who(browser) not in (None, str(first.pk))


def test_subject_is_compared_character_by_character(acme: Acme, django_user_model: Any, db: None) -> None:
    found = []
    for subject in ("Alice", "alice", "alice ", "\uff41lice"):
        acme.account(sub=subject)
        browser = Browser()
        log_in(browser)
        found.append(who(browser))
    assert len(set(found)) == 4


def test_same_subject_of_another_issuer_or_provider_is_another_account(
    connection: Connection, alice: Any, pkce_auth: Any, acme: Acme
) -> None:
    pkce_auth.provider(issuer="https://new.acme.example")
    browser = Browser()
    log_in(browser)
    assert who(browser) not in (None, str(alice.pk))
    pkce_auth.provider(issuer="https://acme.example")
    pkce_auth.provider(
        "other",
        issuer="https://acme.example",
        authorize_url="https://acme.example/oauth/authorize",
        token_url="https://acme.example/oauth/token",
        userinfo_url=USERINFO_URL,
        client_id="us-too",
        login=True,
        create_users=True,
    )
    log_in(browser := Browser(), provider="other")
    assert who(browser) not in (None, str(alice.pk))


@pytest.mark.parametrize("subject", [None, "", True, False, 1.5, [], {}, "a\0b", "\ud800", "s" * 256, "a\nb"])
def test_answer_without_a_usable_subject_logs_nobody_in(
    subject: object, acme: Acme, django_user_model: Any, db: None
) -> None:
    acme.answers[USERINFO_URL] = as_json({"sub": subject, "email": "alice@example.com"})
    browser = Browser()
    refused(log_in(browser), browser, NAMELESS)
    assert not django_user_model.objects.exists()


def test_empty_sub_is_not_replaced_by_id(acme: Acme, db: None) -> None:
    acme.answers[USERINFO_URL] = as_json({"sub": "", "id": 42})
    browser = Browser()
    refused(log_in(browser), browser, NAMELESS)


def test_id_identifies_where_a_provider_has_no_sub(acme: Acme, db: None) -> None:
    acme.answers[USERINFO_URL] = as_json({"id": 42})
    log_in(Browser())
    assert Connection.objects.get().subject == "42"


def test_provider_without_userinfo_logs_nobody_in(pkce_auth: Any, db: None) -> None:
    pkce_auth.provider(userinfo_url=None)
    browser = Browser()
    refused(log_in(browser), browser, NAMELESS)


def test_deactivated_user_is_refused_and_the_connection_untouched(connection: Connection, alice: Any) -> None:
    alice.is_active = False
    alice.save()
    browser = Browser()
    refused(log_in(browser), browser, DEACTIVATED)
    assert Connection.objects.get().updated_at == connection.updated_at


def test_session_planted_before_the_log_in_is_worth_nothing_after_it(db: None) -> None:
    attacker, victim = Browser(), Browser()
    session = attacker.session
    session["cart"] = "kept"
    session.save()
    victim.cookies["sessionid"] = attacker.cookies["sessionid"] = session.session_key
    log_in(victim)
    assert who(victim) is not None
    assert victim.session.session_key != session.session_key
    assert victim.session["cart"] == "kept"
    assert who(attacker) is None


def test_provider_that_lost_its_login_meanwhile_logs_nobody_in(db: None, pkce_auth: Any) -> None:
    browser = Browser()
    state = begin(browser, login=True)["state"]
    pkce_auth.provider(login=False)
    refused(come_back(browser, code=CODE, state=state), browser, "Nobody can log in here with an account at Acme.")


def test_signed_in_visitor_is_sent_on_from_the_log_in_page(signed_in: Browser) -> None:
    assert signed_in.get("/connect/acme/login", {"next": "/albums"})["Location"] == "/albums"
    assert signed_in.post("/connect/acme/login", {"next": "/albums"})["Location"] == "/albums"
    assert not ConnectAttempt.objects.exists()


@pytest.mark.parametrize("known", [True, False])
def test_log_in_never_swaps_the_person_who_signed_in_meanwhile(known: bool, alice: Any, bob: Any, acme: Acme) -> None:
    if known:
        other = Browser()
        other.force_login(alice)
        connect(other)
    browser = Browser()
    state = begin(browser, login=True)["state"]
    browser.force_login(bob)
    response = come_back(browser, code=CODE, state=state)
    assert response.status_code == 403
    assert f"<p>{SOMEBODY_ELSE}" in response.content.decode()
    assert who(browser) == str(bob.pk)
    assert not Connection.objects.filter(user=bob).exists()


def test_log_in_from_two_tabs_ends_well_in_both(db: None, django_user_model: Any) -> None:
    browser = Browser()
    states = [begin(browser, login=True, next=f"/{number}")["state"] for number in range(2)]
    for number, state in enumerate(states):
        assert come_back(browser, code=CODE, state=state)["Location"] == f"/{number}"
    assert django_user_model.objects.count() == 1


def test_connecting_an_account_that_logs_another_user_in_is_refused(signed_in: Browser, alice: Any) -> None:
    log_in(Browser())
    owner = Connection.objects.get().user
    assert connect(signed_in).status_code == 403
    assert Connection.objects.get().user == owner != alice


def test_log_in_answer_of_an_attempt_to_connect_logs_nobody_in(signed_in: Browser) -> None:
    state = begin(signed_in)["state"]
    signed_in.session.flush()
    assert come_back(signed_in, code=CODE, state=state).status_code == 400
    assert who(signed_in) is None


def test_start_again_leads_a_visitor_to_the_log_in_page(db: None) -> None:
    browser = Browser()
    begin(browser, login=True)
    page = come_back(browser, error="access_denied", state="unknown").content.decode()
    assert 'href="/connect/acme/login"' in page


def test_two_first_log_ins_at_once_are_one_user(
    db: None, django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Browser(), Browser()
    state = begin(one, login=True)["state"]
    real = connections.find

    def look_and_be_overtaken(*arguments: Any) -> Connection | None:
        found = real(*arguments)
        monkeypatch.setattr(connections, "find", real)
        log_in(two)
        return found

    monkeypatch.setattr(connections, "find", look_and_be_overtaken)
    assert come_back(one, code=CODE, state=state).status_code == 302
    assert who(one) == who(two) is not None
    assert django_user_model.objects.count() == 1
    assert Connection.objects.count() == 1


class NewcomersWait(InProcessPolicy):
    def create_user(self, provider: Any, account: Account) -> Any:
        user = super().create_user(provider, account)
        user.is_active = False
        user.save()
        return user


def test_user_whom_the_policy_makes_inactive_is_not_logged_in(db: None, pkce_auth: Any) -> None:
    pkce_auth(CLIENT_POLICY="tests.client.test_log_in.NewcomersWait")
    browser = Browser()
    refused(log_in(browser), browser, DEACTIVATED)


class MembersOnly(InProcessPolicy):
    def create_user(self, provider: Any, account: Account) -> Any:
        raise LoginRefused("Only members can log in here.")


def test_policy_lets_nobody_in_and_says_why(
    db: None, pkce_auth: Any, django_user_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pkce_auth(CLIENT_POLICY="tests.client.test_log_in.MembersOnly")
    browser = Browser()
    refused(log_in(browser), browser, "Only members can log in here.")
    assert "Connect attempt ended: acme: LoginRefused: Only members can log in here." in caplog.text
    assert not django_user_model.objects.exists()


class Forgetful(InProcessPolicy):
    def create_user(self, provider: Any, account: Account) -> Any:
        super().create_user(provider, account)


def test_policy_that_returns_no_user_is_told_so(db: None, pkce_auth: Any, django_user_model: Any) -> None:
    pkce_auth(CLIENT_POLICY="tests.client.test_log_in.Forgetful")
    with pytest.raises(ImproperlyConfigured, match=r"^Forgetful\.create_user returned no user; return it"):
        log_in(Browser())
    assert not django_user_model.objects.exists()


class Recruiter(InProcessPolicy):
    """Keeps whom it was asked to make a user for."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def account(self, provider: Any, userinfo: Any) -> Account:
        return Account(subject=f"{provider.slug}:{userinfo['sub']}")

    def create_user(self, provider: Any, account: Account) -> Any:
        self.asked.append((provider.slug, account.subject))
        return super().create_user(provider, account)


def test_policy_makes_the_user_of_the_account_again_where_the_first_could_not_be_stored(
    db: None, pkce_auth: Any, django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pkce_auth(CLIENT_POLICY="tests.client.test_log_in.Recruiter")
    monkeypatch.setattr(Recruiter, "asked", [])
    real = connections.store_once

    def overtaken(*arguments: Any, **named: Any) -> Connection:
        monkeypatch.setattr(connections, "store_once", real)
        raise IntegrityError("UNIQUE constraint failed")

    monkeypatch.setattr(connections, "store_once", overtaken)
    log_in(browser := Browser())
    assert Recruiter.asked == [("acme", "acme:42")] * 2
    assert who(browser) == str(django_user_model.objects.get().pk)


def test_first_of_several_backends_is_named_in_the_session(db: None, settings: Any) -> None:
    model = "django.contrib.auth.backends.ModelBackend"
    settings.AUTHENTICATION_BACKENDS = [model, "django.contrib.auth.backends.RemoteUserBackend"]
    log_in(browser := Browser())
    assert browser.session["_auth_user_backend"] == model


class OnlyWatches:
    """A backend that counts failures and names nobody, as brakes do that want to stand first."""

    def authenticate(self, request: Any, **credentials: Any) -> None:
        return None


@pytest.mark.parametrize(
    "first", ["tests.client.test_log_in.OnlyWatches", "django_pkce_auth.resource.backends.BearerBackend"]
)
def test_backend_that_gives_nobody_back_is_not_named_in_the_session(db: None, settings: Any, first: str) -> None:
    model = "django.contrib.auth.backends.ModelBackend"
    settings.AUTHENTICATION_BACKENDS = [first, model]
    log_in(browser := Browser())
    assert browser.session["_auth_user_backend"] == model
    assert browser.get("/connect/").status_code == 200


def test_project_without_such_a_backend_is_told(db: None, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["tests.client.test_log_in.OnlyWatches"]
    browser = Browser()
    with pytest.raises(
        ImproperlyConfigured, match=r"^No backend of AUTHENTICATION_BACKENDS gives back who logged in\.$"
    ):
        log_in(browser)
    assert who(browser) is None


def test_account_is_found_together_with_its_user(
    connection: Connection, acme: Acme, django_assert_num_queries: Any
) -> None:
    provider = get_provider("acme", settings=conf.settings(), transport=acme)
    with django_assert_num_queries(1):
        found = connections.find(provider, Account(subject="42"))
        assert found is not None
        assert found.user.username == "alice"


def test_store_finds_the_row_that_another_request_made_since_it_looked(
    signed_in: Browser, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, raised = connections._store, []

    def lose_the_race(*arguments: Any) -> Connection:
        stored = real(*arguments)
        if not raised:
            raised.append(True)
            raise IntegrityError("UNIQUE constraint failed")
        return stored

    monkeypatch.setattr(connections, "_store", lose_the_race)
    assert connect(signed_in).status_code == 302
    assert Connection.objects.get().user == alice


def test_default_policy_reads_no_account_from_an_empty_answer() -> None:
    assert ClientPolicy().account(None, {}) == Account(subject=None)  # type: ignore[arg-type]
