"""Nearly right requests at every endpoint: no server error, and what is refused changes nothing.

Some hundreds in the default suite; ``FUZZ_REQUESTS`` says how many (tox run -e fuzz-postgres), ``FUZZ_SEED`` which.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone

from django_pkce_auth.client.models import Connection
from django_pkce_auth.client.urls import urlpatterns as client_urls
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.protocol.pkce import code_challenge
from django_pkce_auth.resource.urls import urlpatterns as resource_urls
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import Client, RedirectURI
from django_pkce_auth.server.urls import urlpatterns as server_urls
from django_pkce_auth.testing import FakeProvider, fake_provider
from tests.four_steps import REDIRECT_URI, VERIFIER, App, approve
from tests.fuzz.drawn_requests import ENDPOINTS, Pool, Sent, draw

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "500"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
FRESH_EVERY = 100
"""Requests, after which there are new codes and tokens to send."""
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|TRUNCATE)\b[^`\"]*[`\"](\w+)")
MAY_WRITE = {
    # What is refused, and why, is what an audit is for.
    ("*", "INSERT pkce_auth_auditentry"),
    # When a secret was last used: the client did prove itself.
    ("token", "UPDATE pkce_auth_clientsecret"),
    ("revoke", "UPDATE pkce_auth_clientsecret"),
    ("introspect", "UPDATE pkce_auth_clientsecret"),
    ("device_authorization", "UPDATE pkce_auth_clientsecret"),
    # RFC 8628 §3.5: a poll is noted, and one too early makes the interval longer.
    ("token", "UPDATE pkce_auth_devicecode"),
    # An answer is taken once, whatever comes of it.
    ("callback", "UPDATE pkce_auth_connectattempt"),
}
"""What a refused request may write: endpoint, statement and table."""
ELSEWHERE = re.compile(r"[\x00-\x20]*([/\\]{2}|[A-Za-z][A-Za-z0-9+.-]*:)")
"""What a browser takes for another host, or for another scheme (RFC 3986 section 3.1)."""
REPLAY = ("token", "UPDATE pkce_auth_tokenfamily")
"""Allowed where a code or a refresh token is sent that was used before."""


@dataclass
class World:
    """Clients, people and what they hold; the statements that write are noted while a request is served."""

    provider: FakeProvider
    chance: random.Random
    pool: Pool = field(default_factory=Pool)
    browsers: dict[str, Browser] = field(default_factory=dict)
    apps: list[App] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    written: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        self.people = {name: get_user_model().objects.create_user(name) for name in ("alice", "bob")}
        for name, kind in (("photo-app", "confidential"), ("phone-app", "public"), ("old-app", "confidential")):
            grants = f"authorization_code refresh_token client_credentials {DEVICE_CODE}"
            client = Client.objects.create(
                client_id=name, name=name, type=kind, scope="read write profile", grant_types=grants
            )
            RedirectURI.objects.create(client=client, uri=REDIRECT_URI)
            self.apps.append(App(client, add_secret(client, now=timezone.now()) if kind == "confidential" else None))
        Client.objects.filter(client_id="old-app").update(disabled_at=timezone.now())
        self.pool.values = {
            "client": [f"{app.client.client_id}:{app.secret or ''}" for app in self.apps],
            "client_id": [app.client.client_id for app in self.apps],
            "code_challenge": [code_challenge(VERIFIER)],
        }

    def renew(self) -> None:
        """Make new codes, tokens, device codes, attempts and connections, and keep a few of the old."""
        cache.clear()
        self.browsers = {name: Browser(raise_request_exception=True) for name in ("alice", "bob", "nobody")}
        for name, person in self.people.items():
            self.browsers[name].force_login(person)
        for app in self.apps[:2]:
            for name in ("alice", "bob"):
                whose = f"{app.client.client_id}:{app.secret or ''}"
                codes = [approve(self.browsers[name], app.link(scopes=("read", "write")))["code"] for _ in range(2)]
                tokens = app.redeem(codes[0]).json()
                self.used.add(codes[0])
                self._keep(whose, code=codes, **{kind: [tokens[kind]] for kind in ("access_token", "refresh_token")})
            told = [app.post("/oauth/device_authorization", scope="read").json() for _ in range(2)]
            self._keep(whose, **{kind: [device[kind] for device in told] for kind in ("device_code", "user_code")})
        self.provider.userinfo["sub"] = f"account-{len(self.used)}"
        self.provider.connect(self.browsers["alice"])
        for name, start in (("alice", "/connect/fake/"), ("bob", "/connect/fake/"), ("nobody", "/connect/fake/login")):
            self._answer(name, self.browsers[name].post(start)["Location"])
        self.pool.values["connection"] = [str(pk) for pk in Connection.objects.values_list("pk", flat=True)]

    def _answer(self, browser: str, asked: str) -> None:
        """Let the provider answer what this browser began: with a code, and with an error."""
        for error in ("", "", "access_denied"):
            answer = urlsplit(self.provider.authorize(asked, error=error)).query
            self._keep(browser, callback=[answer])
            self.pool.owners[dict(parse_qsl(answer))["state"]] = browser

    def _keep(self, whose: str, **made: list[str]) -> None:
        for name, values in made.items():
            self.pool.owners |= dict.fromkeys(values, whose)
            self.pool.values[name] = [*self.pool.values.get(name, [])[-8:], *values]

    def note(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        done = execute(sql, params, many, context)
        # An UPDATE that finds no row changes nothing, and neither does what is rolled back.
        if (match := WRITES.match(sql)) is not None and context["cursor"].rowcount:
            transaction.on_commit(partial(self.written.append, " ".join(match.groups())))
        return done

    def send(self, sent: Sent) -> Any:
        """Return the response, None for what Django's own request class doesn't read."""
        more: dict[str, Any] = {"QUERY_STRING": sent.query.decode("latin-1"), **sent.headers}
        arguments = (sent.method, sent.path, sent.body, sent.content_type)
        self.written.clear()
        try:
            with connection.execute_wrapper(self.note):
                return self.browsers[sent.browser].generic(*arguments, **more)
        except AssertionError as fault:
            if "more than the available bytes" in str(fault):
                return None  # the test client's own: it has no body as long as the header says
            raise
        except (LookupError, ValueError):
            try:
                RequestFactory().generic(*arguments, **more)
            except (LookupError, ValueError):
                return None
            raise

    def learn(self, sent: Sent, response: Any) -> None:
        """Note what was redeemed, what was given, and what was begun."""
        target = response.headers.get("Location", "")
        if target.startswith(f"{self.provider.issuer}/authorize?"):
            self._answer(sent.browser, target)
        if sent.endpoint == "token" and response.status_code == 200:
            self.used |= sent.values
            members = response.json()
            given = {kind: [members[kind]] for kind in ("access_token", "refresh_token") if kind in members}
            whose = [self.pool.owners[value] for value in sent.values if value in self.pool.owners]
            self._keep(whose[0] if whose else "", **given)


def is_refused(response: Any) -> bool:
    answer = dict(parse_qsl(urlsplit(response.headers.get("Location", "")).query))
    return response.status_code >= 400 or "error" in answer


def unexplained(sent: Sent, written: list[str], used: set[str]) -> set[str]:
    """Return what a refused request wrote, and had no reason to."""
    return {
        statement
        for statement in written
        if (sent.endpoint, statement) not in MAY_WRITE
        and ("*", statement) not in MAY_WRITE
        and not ((sent.endpoint, statement) == REPLAY and sent.values & used)
    }


def check(sent: Sent, response: Any, world: World) -> str:
    """Return what became of it: ``refused``, ``accepted`` or ``unread``; fails with the request where it went wrong."""
    if response is None:
        return "unread"
    assert response.status_code < 500, f"{response.status_code} to {sent}"
    target = response.headers.get("Location", "")
    known = (REDIRECT_URI, f"{world.provider.issuer}/authorize?", "https://testserver/", "http://testserver/")
    assert target.startswith(known) or ELSEWHERE.match(target) is None, f"{target} to {sent}"
    if not is_refused(response):
        assert world.written or sent.endpoint != "token" or response.status_code != 200, "tokens, and nothing written"
        world.learn(sent, response)
        return "accepted"
    wrote = unexplained(sent, world.written, world.used)
    assert not wrote, f"refused with {response.status_code}, and wrote {wrote}: {sent}"
    return "refused"


def test_what_a_refused_request_may_write_is_told_from_what_it_may_not() -> None:
    polled = Sent("token", "POST", "/oauth/token", b"", b"", "", {}, "alice", frozenset(["used-before"]))
    devices, families, tokens = "UPDATE pkce_auth_devicecode", REPLAY[1], "INSERT pkce_auth_accesstoken"
    assert unexplained(polled, [devices, families, tokens], set()) == {families, tokens}
    assert unexplained(polled, [devices, families, tokens], {"used-before"}) == {tokens}


def test_every_endpoint_is_sent_to() -> None:
    patterns = {pattern.name for pattern in (*server_urls, *client_urls, *resource_urls)}
    assert patterns <= set(ENDPOINTS)


@pytest.mark.leaks_on_purpose  # tokens are sent as what they are not, and kept where that is kept
@pytest.mark.django_db(transaction=True)
def test_nearly_right_requests_are_answered_and_change_nothing_where_refused(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}
    chance = random.Random(SEED)
    counted: Counter[tuple[str, str]] = Counter()
    with fake_provider() as provider:
        world = World(provider, chance)
        world.set_up()
        for number in range(REQUESTS):
            if number % FRESH_EVERY == 0:
                world.renew()
            if number % 5000 == 0:
                print(f"{number} of {REQUESTS} requests", flush=True)
            sent = draw(chance, world.pool)
            try:
                counted[sent.endpoint, check(sent, world.send(sent), world)] += 1
            except Exception as fault:
                raise AssertionError(f"FUZZ_SEED={SEED}, request {number}: {sent}") from fault
    for name in ENDPOINTS:
        numbers = {fate: counted[name, fate] for fate in ("accepted", "refused", "unread")}
        print(f"{name:>24}: {numbers}")
        if REQUESTS >= 1000:
            assert numbers["accepted"] > numbers["unread"], f"FUZZ_SEED={SEED}: {name} was hardly asked anything"
    print(f"FUZZ_SEED={SEED}, {REQUESTS} requests: {sum(counted.values())} answered, none with a 5xx")
