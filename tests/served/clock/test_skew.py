"""Two server processes whose clocks are ten seconds apart, asked in turn: nobody notices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import Connection
from django_pkce_auth.secrets import generate
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import Client, TokenFamily
from tests.four_steps import App
from tests.served.races.cast import Program, make_families, use
from tests.served.races.test_races import providers
from tests.served.wire import FORM, Answer, Request, Wire, at_once
from tests.served.workers import environment, project

HOOK = "tests.served.clock.hook.install"
CSRF = "c" * 32
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
AHEAD, BEHIND = 0, 1
orders = pytest.mark.parametrize("order", [(AHEAD, BEHIND), (BEHIND, AHEAD)], ids=["ahead first", "behind first"])


class Skewed:
    """A process that is five seconds ahead, and one that is as much behind."""

    def __init__(self, ports: list[int], provider: str) -> None:
        self.ports, self.provider = ports, provider
        self.wires = [Wire(port) for port in ports]

    def in_turn(self, order: tuple[int, int]) -> Callable[[Request], Answer]:
        asked = 0

        def ask(request: Request) -> Answer:
            nonlocal asked
            asked += 1
            return self.wires[order[asked % 2 - 1]].ask(request)

        return ask


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Skewed]:
    log = tmp_path_factory.mktemp("skewed") / "worker.log"
    with providers(1) as (provider,):
        changes = {"PKCE_AUTH": {"PROVIDERS": {"fake": provider}}}
        hooks = [environment(changes, SERVED_HOOK=HOOK, CLOCK_SECONDS=seconds) for seconds in ("5", "-5")]
        with project(log, hooks[AHEAD]) as ahead, project(log, hooks[BEHIND]) as behind:
            made = Skewed([each.start().port for each in (ahead, behind)], provider["issuer"])
            yield made
            for wire in made.wires:
                wire.close()
    assert log.read_text() == ""


@pytest.fixture
def user() -> Any:
    return get_user_model().objects.create_user(username="alice", password="wonderland")


@pytest.fixture
def program() -> Program:
    program = Program.register("skewed", public=False)
    Client.objects.update(grant_types=f"authorization_code refresh_token {DEVICE}")
    return program


@pytest.fixture
def headers(user: Any) -> dict[str, str]:
    browser = Browser()
    browser.force_login(user)
    session = browser.cookies["sessionid"].value
    return {"Cookie": f"sessionid={session}; csrftoken={CSRF}", "X-CSRFToken": CSRF}


@orders
def test_whole_flow_goes_on_wherever_its_steps_are_served(
    order: tuple[int, int], skewed: Skewed, program: Program, headers: dict[str, str]
) -> None:
    ask, link = skewed.in_turn(order), App(program.client, None).link()
    for _ in range(2):  # the second time from the remembered consent
        back = ask(Request("POST", link, {"decision": "approve"}, headers)).returned
        tokens = ask(program.redeem(back["code"])).json()
        for _ in range(3):
            assert ask(use(tokens["access_token"])).status == 200
            said = ask(program.post("/oauth/introspect", {"token": tokens["access_token"]})).json()
            assert said["active"]
            tokens = ask(program.refresh(tokens["refresh_token"])).json()
        assert ask(program.revoke(tokens["access_token"])).status == 200
        for _ in range(2):
            assert ask(use(tokens["access_token"])).status == 401
            assert ask(program.refresh(tokens["refresh_token"])).status == 400


@orders
def test_lost_answer_can_be_asked_for_again_elsewhere(
    order: tuple[int, int], skewed: Skewed, program: Program, user: Any
) -> None:
    ask = skewed.in_turn(order)
    (given,) = make_families(program, user, 1)
    first, second = (ask(program.refresh(given.refresh_token)) for _ in range(2))
    assert (first.status, second.status) == (200, 200)
    onward = ask(program.refresh(second.json()["refresh_token"]))
    assert onward.status == 200


@orders
def test_simultaneous_refreshes_stay_in_one_family(
    order: tuple[int, int], skewed: Skewed, program: Program, user: Any
) -> None:
    (given,) = make_families(program, user, 1)
    wires = [Wire(skewed.ports[order[number % 2]]) for number in range(4)]
    answers = at_once(wires, [program.refresh(given.refresh_token)] * 4)
    for wire in wires:
        wire.close()
    assert [answer.status for answer in answers] == [200] * 4
    assert TokenFamily.objects.get().revoked_at is None


@orders
def test_new_secret_works_at_once(order: tuple[int, int], skewed: Skewed, program: Program) -> None:
    secret = add_secret(program.client, now=timezone.now())
    ask = skewed.in_turn(order)
    for _ in range(4):
        assert ask(program.post("/oauth/introspect", {"token": "x"}, secret=secret)).status == 200


@orders
def test_fresh_sign_in_is_asked_for_once(
    order: tuple[int, int], skewed: Skewed, program: Program, headers: dict[str, str], user: Any
) -> None:
    ask = skewed.in_turn(order)
    link = f"{App(program.client, None).link()}&prompt=login"
    assert ask(Request("GET", link, headers=headers)).status == 200
    answer = ask(Request("POST", link, {"decision": "switch"}, headers))
    assert answer.status == 302
    login = answer.headers["location"]
    form = {"username": "alice", "password": "wonderland", "csrfmiddlewaretoken": CSRF}
    signed_in = ask(Request("POST", login, form, {"Cookie": f"csrftoken={CSRF}"}))
    assert signed_in.status == 302
    cookies = signed_in.headers["set-cookie"].partition(";")[0]
    prompt = Request("GET", signed_in.headers["location"], headers={"Cookie": cookies})
    for _ in range(2):
        assert ask(prompt).status == 200, "signed in, and asked to sign in again"


@orders
def test_device_gets_its_token(
    order: tuple[int, int], skewed: Skewed, program: Program, headers: dict[str, str]
) -> None:
    ask = skewed.in_turn(order)
    codes = ask(program.post("/oauth/device_authorization", {"scope": "read"})).json()
    approved = ask(Request("POST", "/oauth/device", {"user_code": codes["user_code"], "decision": "approve"}, headers))
    assert approved.status == 200
    poll = program.post("/oauth/token", {"grant_type": DEVICE, "device_code": codes["device_code"]})
    tokens = ask(poll).json()
    assert [ask(use(tokens["access_token"])).status for _ in range(2)] == [200, 200]


@orders
def test_account_is_connected(order: tuple[int, int], skewed: Skewed, headers: dict[str, str], user: Any) -> None:
    ask = skewed.in_turn(order)
    headers = headers | {"Cookie": f"{headers['Cookie']}; __Host-pkce_auth={generate()}"}
    begun = ask(Request("POST", "/connect/fake/", {"next": "/landed"}, headers))
    asked = urlsplit(begun.headers["location"])
    provider = HTTPConnection(asked.hostname or "", asked.port, timeout=30)
    form = urlencode({"decision": "approve", "sub": "skewed", "name": "Skewed"})
    provider.request("POST", f"{asked.path}?{asked.query}", form, {"Content-Type": FORM})
    answer = provider.getresponse()
    answer.read()
    provider.close()
    back = urlsplit(str(answer.getheader("Location")))
    landed = ask(Request("GET", f"{back.path}?{back.query}", headers=headers))
    assert (landed.status, landed.headers["location"]) == (302, "/landed")
    assert Connection.objects.get().user_id == user.pk


def test_token_ends_within_the_skew_of_its_time(skewed: Skewed, program: Program, user: Any) -> None:
    """The one disagreement that is left: around its end a token works at the process that is behind."""
    (given,) = make_families(program, user, 1)
    for left, expected in ((20, (200, 200)), (0, (401, 200)), (-20, (401, 401))):
        end = datetime.now(UTC) + timedelta(seconds=left)
        TokenFamily.objects.update(expires_at=end)
        assert tuple(wire.ask(use(given.access_token)).status for wire in skewed.wires) == expected
        active = [
            json.loads(wire.ask(program.post("/oauth/introspect", {"token": given.access_token})).body)["active"]
            for wire in skewed.wires
        ]
        assert active == [status == 200 for status in expected]
