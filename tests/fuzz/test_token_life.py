"""The whole life of tokens through the real views, in any order, against a tiny model of what must be true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction
from django.test import Client as Browser
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import AccessToken, Client, RedirectURI, RefreshToken, TokenFamily
from tests.four_steps import REDIRECT_URI, App, bearer, returned
from tests.fuzz import truth
from tests.fuzz.machines import examples

START = datetime(2030, 1, 1, tzinfo=UTC)
PEOPLE = ("alice", "bob")
APPS = {
    "web": truth.App("web"),
    "bank": truth.App("bank", rotates=False),
    "phone": truth.App("phone", confidential=False),
}
# Around every limit there is, and exactly at it.
MOMENTS = (0.25, 1, 2, 3, 4.5, 5, 10, 28, 29, 30)
PAUSES = (60, 60, 599, 600, 3599, 3600, 3600, 86400, 29 * 86400, 30 * 86400)

people, apps, drawn = st.sampled_from(PEOPLE), st.sampled_from(sorted(APPS)), st.data()
some_scopes = st.sets(st.sampled_from(sorted(truth.SCOPES)), min_size=1).map(frozenset)


def held(kind: str) -> Any:
    """The rule needs one of what was handed out."""
    return precondition(lambda machine: bool(getattr(machine.truth, kind)))


class TokenLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        cache.clear()
        self.truth = truth.Truth()
        self.clock = patch("django.utils.timezone.now", self._now)
        self.clock.start()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.users = {name: get_user_model().objects.create_user(name) for name in PEOPLE}
        self.people = {name: truth.Person(name) for name in PEOPLE}
        self.apps = {name: truth.App(name, app.confidential, app.rotates) for name, app in APPS.items()}
        self.programs = {name: self._register(app) for name, app in self.apps.items()}

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.truth.now)

    def _register(self, app: truth.App) -> App:
        client = Client.objects.create(
            client_id=app.name,
            name=app.name,
            type=Client.Type.CONFIDENTIAL if app.confidential else Client.Type.PUBLIC,
            scope=" ".join(sorted(app.scopes)),
            grant_types=f"authorization_code refresh_token {DEVICE_CODE}",
            rotates_refresh_tokens=app.rotates,
        )
        RedirectURI.objects.create(client=client, uri=REDIRECT_URI)
        return App(client, add_secret(client, now=self._now()) if app.confidential else None)

    def teardown(self) -> None:
        try:
            for token in self.truth.access:
                self._check_access(token)
            for token in self.truth.refresh:
                self._introspect(token)
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)
            self.clock.stop()

    # Time and administrators.

    @rule(seconds=st.sampled_from(MOMENTS))
    def go_on_a_moment_later(self, seconds: float) -> None:
        self.truth.now += seconds

    @rule(seconds=st.sampled_from(PAUSES))
    def go_on_much_later(self, seconds: float) -> None:
        self.truth.now += seconds

    @rule(data=drawn)
    def switch_off(self, data: st.DataObject) -> None:
        name = data.draw(people | apps)
        if name in self.people:
            self._set_active(name, False)
        else:
            self._set_disabled(name, True)

    @precondition(lambda machine: machine.is_something_off())
    @rule()
    def switch_on_again(self) -> None:
        for name in self.people:
            self._set_active(name, True)
        for name in self.apps:
            self._set_disabled(name, False)

    def is_something_off(self) -> bool:
        off = [not person.active for person in self.people.values()] + [app.disabled for app in self.apps.values()]
        return any(off)

    def _set_active(self, name: str, active: bool) -> None:
        self.people[name].active = self.users[name].is_active = active
        self.users[name].save()

    def _set_disabled(self, name: str, disabled: bool) -> None:
        self.apps[name].disabled, client = disabled, self.programs[name].client
        client.disabled_at = self._now() if disabled else None
        client.save()

    @rule(name=st.sampled_from(["web", "bank"]), at_once=st.booleans())
    def rotate_secret(self, name: str, at_once: bool) -> None:
        """A second secret works beside the first, and on when the first has ended."""
        program = self.programs[name]
        new = add_secret(program.client, now=self._now())
        if at_once:
            program.client.secrets.exclude(pk=program.client.secrets.latest("pk").pk).update(expires_at=self._now())
            old, program.secret = program.secret, new
            refused = App(program.client, old).post("/oauth/introspect", token="x")
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")

    @rule(name=apps, scopes=some_scopes)
    def change_the_list(self, name: str, scopes: frozenset[str]) -> None:
        """What is taken from a client's list is in no token from then on, and may come back; it asks at once."""
        self.apps[name].scopes, client = scopes, self.programs[name].client
        client.scope = " ".join(sorted(scopes))
        client.save()
        for token in [token for token in self.renewable() if token.family.app.name == name][-1:]:
            self._renew(token, name, frozenset())
        for code in [code for code in self.truth.codes if code.app.name == name and code.family is None][-1:]:
            self._redeem(code, name, proves=True)

    @rule()
    def purge(self) -> None:
        call_command("pkce_purge", "--json", stdout=StringIO())
        self.truth.purge()

    # People.

    def _browser(self, name: str) -> Browser:
        browser = Browser()
        browser.force_login(self.users[name])
        return browser

    @initialize(app=apps)
    def begin(self, app: str) -> None:
        self._walk("alice", app, frozenset(["read", "write"]))

    @rule(name=people, app=apps, scopes=some_scopes)
    def walk(self, name: str, app: str, scopes: frozenset[str]) -> None:
        """The flow as it is meant: allow, and redeem at once."""
        self._walk(name, app, scopes)

    def _walk(self, name: str, app: str, scopes: frozenset[str]) -> None:
        code = self.answer_the_prompt(name, app, scopes, "approve")
        if code is not None:
            self._redeem(code, app, proves=True)

    @rule(name=people, app=apps, scopes=some_scopes, decision=st.sampled_from(["approve", "deny"]))
    def answer(self, name: str, app: str, scopes: frozenset[str], decision: str) -> None:
        self.answer_the_prompt(name, app, scopes, decision)

    def answer_the_prompt(self, name: str, app: str, scopes: frozenset[str], decision: str) -> truth.Code | None:
        link = self.programs[app].link(scopes=tuple(sorted(scopes)))
        response = self._browser(name).post(link, {"decision": decision})
        person, client = self.people[name], self.apps[app]
        if client.disabled:
            assert response.status_code == 400
            return None
        if not person.active:
            assert response.status_code == 302
            assert response["Location"].startswith("/login/")
            return None
        answer = returned(response)
        if not scopes <= client.scopes:
            assert answer["error"] == "invalid_scope"
            return None
        if decision == "deny":
            assert answer["error"] == "access_denied"
            return None
        self.truth.allow(person, client, scopes)
        code = truth.Code(answer["code"], client, person, scopes, self.truth.now + truth.CODE)
        self.truth.codes.append(code)
        return code

    @rule(name=people, app=apps, scopes=some_scopes)
    def come_back(self, name: str, app: str, scopes: frozenset[str]) -> None:
        """Nobody is asked again for what was allowed, and everybody for what was not."""
        link = self.programs[app].link(scopes=tuple(sorted(scopes)))
        response = self._browser(name).get(link + "&prompt=none")
        person, client = self.people[name], self.apps[app]
        if client.disabled:
            assert response.status_code == 400
            return
        answer = returned(response)
        if not scopes <= client.scopes:
            assert answer["error"] == "invalid_scope"
        elif not person.active:
            assert answer["error"] == "login_required"
        elif scopes <= self.truth.consents.get((person, client), frozenset()):
            code = truth.Code(answer["code"], client, person, scopes, self.truth.now + truth.CODE)
            self.truth.codes.append(code)
        else:
            assert answer["error"] == "consent_required"

    @rule(name=people, app=apps)
    def withdraw(self, name: str, app: str) -> None:
        response = self._browser(name).post("/oauth/apps", {"client_id": app})
        if not self.people[name].active:
            assert response.status_code == 302
            assert response["Location"].startswith("/login/")
            return
        had = self.truth.withdraw(self.people[name], self.apps[app])
        assert response.status_code == (302 if had else 404)

    @rule(app=apps, scopes=some_scopes)
    def begin_at_a_device(self, app: str, scopes: frozenset[str]) -> None:
        response = self.programs[app].post("/oauth/device_authorization", scope=" ".join(sorted(scopes)))
        if self.apps[app].disabled:
            assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
            return
        if not scopes <= self.apps[app].scopes:
            assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")
            return
        told = response.json()
        device = truth.Device(
            told["device_code"], told["user_code"], self.apps[app], scopes, self.truth.now + truth.DEVICE
        )
        self.truth.devices.append(device)

    @held("devices")
    @rule(data=drawn, name=people, decision=st.sampled_from(["approve", "approve", "deny"]))
    def enter_the_code(self, data: st.DataObject, name: str, decision: str) -> None:
        device = data.draw(st.sampled_from(self.truth.devices[-2:]))
        cache.clear()  # the brake on guesses is another test's
        response = self._browser(name).post("/oauth/device", {"user_code": device.user_code, "decision": decision})
        if not self.people[name].active:
            assert response.status_code == 302
        elif device.gone or device.app.disabled or device.answer or self.truth.now >= device.expires:
            assert response.status_code == 400
        else:
            assert response.status_code == 200
            device.answer = decision
            if decision == "approve":
                device.person = self.people[name]
                self.truth.allow(device.person, device.app, device.scopes)

    # Programs.

    def _answered(self, response: Any, error: str) -> dict[str, Any]:
        members: dict[str, Any] = response.json()
        assert members.get("error", "") == error, members
        assert response.status_code == (200 if not error else 401 if error == "invalid_client" else 400)
        return members

    def _first_tokens(self, members: dict[str, Any], family: truth.Family) -> truth.Family:
        given = family.scopes & family.app.scopes
        assert set(members["scope"].split()) == given
        self.truth.issue(family, members["access_token"], given)
        self.truth.issue_refresh(family, members["refresh_token"], 0)
        return family

    @held("codes")
    @rule(data=drawn)
    def redeem(self, data: st.DataObject) -> None:
        code = data.draw(st.sampled_from(self.truth.codes))
        self._redeem(code, code.app.name, proves=True)

    def _redeem(self, code: truth.Code, app: str, *, proves: bool) -> None:
        error = self.truth.redeem(code, self.apps[app], proves=proves)
        changes = {} if proves else {"code_verifier": "w" * 43}
        members = self._answered(self.programs[app].redeem(code.raw, **changes), error)
        if not error:
            code.family = self._first_tokens(members, self.truth.begin(code.app, code.person, code.scopes))

    @held("devices")
    @rule(data=drawn)
    def poll(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(self.truth.devices[-2:]))
        self._poll(device, device.app.name)

    def _poll(self, device: truth.Device, app: str) -> None:
        error = self.truth.poll(device, self.apps[app])
        response = self.programs[app].post(grant_type=DEVICE_CODE, device_code=device.raw)
        members = self._answered(response, error)
        if not error:
            assert device.person
            device.redeemed = True
            self._first_tokens(members, self.truth.begin(device.app, device.person, device.scopes))

    @precondition(lambda machine: machine.renewable())
    @rule(data=drawn, scopes=st.just(frozenset()) | st.just(frozenset()) | some_scopes)
    def renew(self, data: st.DataObject, scopes: frozenset[str]) -> None:
        token = data.draw(st.sampled_from(self.renewable()))
        self._renew(token, token.family.app.name, scopes)

    @precondition(lambda machine: machine.renewable())
    @rule(times=st.integers(1, 5))
    def lose_the_answer(self, times: int) -> None:
        """A client that gets no answer sends the same again."""
        token = self.renewable()[-1]
        for _ in range(times):
            self._renew(token, token.family.app.name, frozenset())

    def renewable(self) -> list[truth.Refresh]:
        return [token for token in self.truth.refresh if token.works(self.truth.now)]

    @precondition(lambda machine: machine.superseded())
    @rule(data=drawn)
    def renew_again(self, data: st.DataObject) -> None:
        """A client whose answer was lost tries once more, or a thief tries what he found."""
        token = data.draw(st.sampled_from(self.superseded()))
        self._renew(token, token.family.app.name, frozenset())

    def superseded(self) -> list[truth.Refresh]:
        tokens = [token for token in self.truth.refresh if token.family.lives(self.truth.now)]
        return [token for token in tokens if token.superseded is not None]

    def _renew(self, token: truth.Refresh, app: str, scopes: frozenset[str]) -> None:
        error = self.truth.renew(token, self.apps[app], scopes)
        more = {"scope": " ".join(sorted(scopes))} if scopes else {}
        members = self._answered(self.programs[app].refresh(token.raw, **more), error)
        if error:
            return
        granted = (scopes or token.family.scopes) & token.family.app.scopes
        assert set(members["scope"].split()) == granted
        self.truth.issue(token.family, members["access_token"], granted)
        rotated = token.superseded is not None
        assert ("refresh_token" in members) == rotated
        if rotated:
            self.truth.issue_refresh(token.family, members["refresh_token"], token.generation + 1)

    @held("families")
    @rule(data=drawn)
    def revoke(self, data: st.DataObject) -> None:
        token = self._some_token(data)
        self._revoke(token, token.family.app.name)

    def _some_token(self, data: st.DataObject) -> truth.Access | truth.Refresh:
        return data.draw(st.sampled_from([*self.truth.access, *self.truth.refresh]))

    def _revoke(self, token: truth.Access | truth.Refresh, app: str) -> None:
        error = self.truth.revoke(token, self.apps[app])
        self._answered(self.programs[app].post("/oauth/revoke", token=token.raw), error)

    @rule(data=drawn, app=apps)
    def act_as_a_stranger(self, data: st.DataObject, app: str) -> None:
        """A client that holds what was another's, or a code without its verifier."""
        held = [*self.truth.codes, *self.truth.devices, *self.truth.access, *self.truth.refresh]
        thing = data.draw(st.sampled_from(held)) if held else None
        match thing:
            case truth.Code():
                self._redeem(thing, app, proves=data.draw(st.booleans()))
            case truth.Device():
                self._poll(thing, app)
            case truth.Refresh() if data.draw(st.booleans()):
                self._renew(thing, data.draw(st.sampled_from([app, thing.family.app.name])), frozenset())
            case truth.Access() | truth.Refresh():
                self._revoke(thing, app)

    # What must be true.

    def _check_access(self, token: truth.Access) -> None:
        works = token.works(self.truth.now)
        for path, needed in (("/api/read", {"read"}), ("/api/write", {"read", "write"})):
            expected = 401 if not works else 200 if needed <= token.scopes else 403
            response = Browser().get(path, headers=bearer(token.raw))
            assert response.status_code == expected, (path, response.status_code, expected)
            if expected == 200 and path == "/api/read":
                assert response.json() == {"user": token.family.person.name, "client": token.family.app.name}

    @held("families")
    @rule(data=drawn)
    def look(self, data: st.DataObject) -> None:
        token = self._some_token(data)
        self._introspect(token)
        if isinstance(token, truth.Access):
            self._check_access(token)

    def _introspect(self, token: truth.Access | truth.Refresh) -> None:
        for name in ("web", "bank"):
            response = self.programs[name].post("/oauth/introspect", token=token.raw)
            if self.apps[name].disabled:
                assert response.status_code == 401
                continue
            works = token.works(self.truth.now)
            members = response.json()
            assert members["active"] == (works and token.family.app.name == name)
            if members["active"]:
                scopes = token.scopes if isinstance(token, truth.Access) else token.family.scopes
                whose = str(self.users[token.family.person.name].pk)
                assert (set(members["scope"].split()), members["sub"]) == (scopes, whose)

    @invariant()
    def every_token_that_was_given_is_recorded_and_no_other(self) -> None:
        now = self._now()
        rows = AccessToken.objects.filter(expires_at__gt=now).count()
        assert rows == sum(self.truth.now < token.expires for token in self.truth.access)
        renewable = RefreshToken.objects.filter(expires_at__gt=now).count()
        assert renewable == sum(self.truth.now < token.expires for token in self.truth.refresh)
        going = TokenFamily.objects.filter(revoked_at=None).exclude(access_tokens=None, refresh_tokens=None)
        lived = {id(token.family) for token in self.truth.access if not token.family.ended}
        lived |= {id(token.family) for token in self.truth.refresh if not token.gone and not token.family.ended}
        assert going.count() == len(lived)


@pytest.fixture
def lifetimes(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUTHORIZATION_LIFETIME": truth.AUTHORIZATION}


def test_any_order_of_events_keeps_what_must_be_true(db: None, lifetimes: None) -> None:
    run_state_machine_as_test(TokenLife, settings=profile(parent=examples(12), stateful_step_count=40))
