"""The whole life of connections against a provider in all its moods: what is handed out works, or says what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest.mock import patch
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection as database
from django.db import transaction
from django.test import Client as Browser
from django.test import TestCase, override_settings
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from django_pkce_auth.client import refresh
from django_pkce_auth.client.errors import ProviderUnavailable, ReconnectRequired
from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.testing import FakeProvider, fake_provider
from tests.fuzz.machines import examples

START = datetime(2030, 1, 1, tzinfo=UTC)
PEOPLE, SUBJECTS = ("alice", "bob"), ("ann", "ben")
LIFETIME, AHEAD, ATTEMPT, PAUSE = 3600, 60, 600, 60
MOODS: dict[str, Callable[[FakeProvider], None]] = {
    "no answer": lambda provider: provider.time_out_next(),
    "a page": lambda provider: provider.answer_next(b"<html>Down for maintenance</html>"),
    "503": lambda provider: provider.answer_next(b"", status=503, headers={"Retry-After": str(PAUSE)}),
    "server_error": lambda provider: provider.refuse_next("server_error", status=500),
    "no token": lambda provider: provider.answer_next({"token_type": "Bearer"}),
    "invalid_client": lambda provider: provider.refuse_next("invalid_client", status=401),
}
people, subjects, drawn = st.sampled_from(PEOPLE), st.sampled_from(SUBJECTS), st.data()


@dataclass(eq=False)
class Attempt:
    person: str
    url: str
    expires: float
    key: str
    taken: bool = False
    completed: bool = False
    gone: bool = False


@dataclass(eq=False)
class Link:
    """A connected account: whose it is, and what was stored for it."""

    pk: int
    person: str
    subject: str
    access: str
    refresh: str
    expires: float
    key: str
    broken: bool = False
    asked_again: float = 0


class ConnectionLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        cache.clear()
        self.context = ExitStack()
        self.context.enter_context(patch("django.utils.timezone.now", self._now))
        self.context.enter_context(patch.object(refresh, "BACKOFF_SECONDS", ()))
        self.undone = self.context.enter_context(transaction.atomic())
        self.provider = self.context.enter_context(fake_provider())
        self.ring: list[str] = list(django_settings.PKCE_AUTH["ENCRYPTION_KEYS"])
        self.users = {name: get_user_model().objects.create_user(name) for name in PEOPLE}
        self.browsers = {name: Browser() for name in PEOPLE}
        self.attempts: list[Attempt] = []
        self.links: dict[str, Link] = {}

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.context.close()

    def _browser(self, name: str) -> Browser:
        self.browsers[name].force_login(self.users[name])
        return self.browsers[name]

    @rule(seconds=st.sampled_from([1, 30, 599, 600, 601, 3539, 3540, 3541, 3600, 86400]))
    def wait(self, seconds: float) -> None:
        self.passed += seconds

    # Connecting.

    @rule(name=people)
    def press_the_button(self, name: str) -> None:
        # Expired attempts are removed after the commit, which this transaction never comes to.
        with TestCase.captureOnCommitCallbacks(execute=True):
            response = self._browser(name).post("/connect/fake/", {"next": "/home"})
        assert response.status_code == 303
        for attempt in self.attempts:
            attempt.gone |= attempt.expires < self.passed - ATTEMPT
        self.attempts.append(Attempt(name, response["Location"], self.passed + ATTEMPT, self.ring[0]))

    @rule(name=people, subject=subjects)
    def connect(self, name: str, subject: str) -> None:
        self.press_the_button(name)
        self._come_back(self.attempts[-1], name, subject, "")

    @precondition(lambda machine: bool(machine.attempts))
    @rule(data=drawn, subject=subjects, mood=st.sampled_from(["", "", "denied", *MOODS]), stranger=st.booleans())
    def come_back(self, data: st.DataObject, subject: str, mood: str, stranger: bool) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        name = data.draw(people) if stranger else attempt.person
        self._come_back(attempt, name, subject, mood)

    def _come_back(self, attempt: Attempt, name: str, subject: str, mood: str) -> None:
        self.provider.userinfo = {"sub": subject, "name": subject}
        location = self.provider.authorize(attempt.url, error="access_denied" if mood == "denied" else "")
        goes_on = self._goes_on(attempt, name)
        if goes_on and mood in MOODS:
            MOODS[mood](self.provider)
        asked = len(self.provider.requests)
        parts = urlsplit(location)
        response = self._browser(name).get(f"{parts.path}?{parts.query}")
        if not goes_on:
            assert len(self.provider.requests) == asked, "a callback that is refused asks the provider nothing"
            done = attempt.completed and attempt.person == name and not attempt.gone
            assert response.status_code == (302 if done else 400)
            return
        attempt.taken = True
        if mood:
            assert response.status_code == 200 if mood == "denied" else response.status_code in (400, 502)
            return
        link = self.links.get(subject)
        if link is not None and link.person != name:
            assert response.status_code == 403
            return
        attempt.completed = True
        assert (response.status_code, response["Location"]) == (302, "/home")
        self._store(name, subject)

    def _goes_on(self, attempt: Attempt, name: str) -> bool:
        is_theirs = attempt.person == name and not attempt.gone
        return is_theirs and not attempt.taken and self.passed < attempt.expires and attempt.key in self.ring

    def _store(self, name: str, subject: str) -> None:
        row = Connection.objects.get(subject=subject)
        self.links[subject] = Link(
            row.pk,
            name,
            subject,
            str(row.raw_access_token),
            str(row.raw_refresh_token),
            self.passed + LIFETIME,
            self.ring[0],
        )
        assert row.raw_access_token in self.provider._access_tokens
        assert row.raw_refresh_token in self.provider._refresh_tokens

    # Using.

    @precondition(lambda machine: bool(machine.links))
    @rule(data=drawn, mood=st.sampled_from(["", "", *MOODS]))
    def use(self, data: st.DataObject, mood: str) -> None:
        link = self.links[data.draw(st.sampled_from(sorted(self.links)))]
        readable = link.key in self.ring
        due = self.passed + AHEAD >= link.expires
        waits = self.passed < link.asked_again
        asks = readable and due and not link.broken and not waits
        if mood and asks:
            MOODS[mood](self.provider)
        honoured = link.refresh in self.provider._refresh_tokens
        asked = len(self.provider.requests)
        row = Connection.objects.get(pk=link.pk)
        try:
            token = row.access_token()
        except ReconnectRequired:
            assert link.broken or not readable or (asks and not mood and not honoured)
            link.broken = True
        except ProviderUnavailable:
            assert asks or waits
            assert mood or waits
            assert self.passed >= link.expires, "what is left of the old token serves until the provider is back"
        else:
            assert readable
            assert not link.broken
            self._handed_out(link, token, asks=asks, mood=mood, honoured=honoured)
        assert (len(self.provider.requests) > asked) == asks
        if asks and mood == "503":
            link.asked_again = self.passed + PAUSE

    def _handed_out(self, link: Link, token: str, *, asks: bool, mood: str, honoured: bool) -> None:
        assert token in self.provider._access_tokens
        if not asks or mood:
            assert token == link.access
            assert self.passed < link.expires
            return
        assert honoured
        assert token != link.access
        self._store(link.person, link.subject)
        assert self.links[link.subject].access == token

    @precondition(lambda machine: bool(machine.links))
    @rule(data=drawn, name=people, mood=st.sampled_from(["", "", "no answer", "503"]))
    def disconnect(self, data: st.DataObject, name: str, mood: str) -> None:
        link = self.links[data.draw(st.sampled_from(sorted(self.links)))]
        reaches = name == link.person and link.key in self.ring
        if mood and reaches:
            MOODS[mood](self.provider)
        response = self._browser(name).post("/connect/", {"connection": str(link.pk)})
        if name != link.person:
            assert response.status_code == 404
            return
        assert response.status_code == (302 if reaches and not mood else 200)
        del self.links[link.subject]
        if reaches and not mood:
            assert link.access not in self.provider._access_tokens
            assert link.refresh not in self.provider._refresh_tokens

    @rule()
    def forget_at_the_provider(self) -> None:
        self.provider.forget_refresh_tokens()

    # Keys.

    def _set_ring(self, ring: list[str]) -> None:
        self.ring = ring
        self.context.enter_context(override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"ENCRYPTION_KEYS": ring}))

    @rule()
    def add_a_key(self) -> None:
        self._set_ring([Fernet.generate_key().decode(), *self.ring])

    @precondition(lambda machine: all(link.key in machine.ring for link in machine.links.values()))
    @rule()
    def rotate_and_drop_the_old_keys(self) -> None:
        readable = all(attempt.key in self.ring for attempt in self.attempts)
        if readable:
            call_command("pkce_rotate_keys", stdout=StringIO())
            for stored in (*self.attempts, *self.links.values()):
                stored.key = self.ring[0]
            self._set_ring(self.ring[:1])

    @rule()
    def lose_the_old_keys(self) -> None:
        self._set_ring(self.ring[:1])

    # What must be true.

    @invariant()
    def stored_is_what_was_given(self) -> None:
        rows = {row.subject: row for row in Connection.objects.select_related("user")}
        assert rows.keys() == self.links.keys()
        for subject, link in self.links.items():
            row = rows[subject]
            assert (row.pk, row.user.get_username()) == (link.pk, link.person)
            assert row.status == ("needs_reconnect" if link.broken else "active")
            readable = link.key in self.ring
            assert row.raw_access_token == (link.access if readable else "")
            assert row.raw_refresh_token == (link.refresh if readable else "")

    @invariant()
    def nothing_is_readable(self) -> None:
        with database.cursor() as cursor:
            cursor.execute("SELECT access_token, refresh_token FROM pkce_auth_connection")
            stored = "".join(str(text) for row in cursor.fetchall() for text in row)
        assert not any(link.access in stored or link.refresh in stored for link in self.links.values())
        taken = ConnectAttempt.objects.exclude(taken_at=None)
        assert not taken.exclude(code_verifier=None).exists(), "a verifier has served once and is gone"


def test_any_order_of_events_hands_out_working_tokens_only(db: None) -> None:
    run_state_machine_as_test(ConnectionLife, settings=profile(parent=examples(15), stateful_step_count=40))
