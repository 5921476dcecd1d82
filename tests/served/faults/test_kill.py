"""``kill -9`` of a server process at every statement of the exchange and of the refresh, before it and after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from django_pkce_auth.server.models import AccessToken, AuthorizationCode, RefreshToken, TokenFamily
from tests.served.races.cast import Program, make_codes, make_families, make_user, use
from tests.served.wire import Answer, Lost, Request, Wire
from tests.served.workers import Project, Worker, environment, project

HOOK = "tests.served.faults.hook.install"
MOST_PLACES = 30


class Server:
    """One server process, started again after each fault."""

    def __init__(self, loaded: Project) -> None:
        self.loaded = loaded
        self.worker: Worker | None = None

    def ask(self, request: Request, fault: str = "") -> Answer | None:
        """Return the answer, or None where the process died of the fault."""
        if self.worker is None:
            self.worker = self.loaded.start()
        headers = {**request.headers, "X-Fault": fault} if fault else request.headers
        wire = Wire(self.worker.port)
        try:
            return wire.ask(Request(request.method, request.path, request.form, headers))
        except Lost:
            assert self.loaded.died(self.worker)
            self.worker = None
            return None
        finally:
            wire.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    log = tmp_path / "worker.log"
    with project(log, environment(SERVED_HOOK=HOOK)) as loaded:
        yield Server(loaded)
    assert log.read_text() == ""


@pytest.fixture(params=["public", "confidential"])
def program(request: pytest.FixtureRequest) -> Program:
    return Program.register("killed", public=request.param == "public")


@pytest.fixture
def user() -> Any:
    return make_user("alice")


def rows() -> tuple[int, int, int]:
    return TokenFamily.objects.count(), AccessToken.objects.count(), RefreshToken.objects.count()


@pytest.mark.parametrize("when", ["before", "after"])
def test_exchange_is_whole_or_nothing(when: str, server: Server, program: Program, user: Any) -> None:
    outcomes = []
    for place in range(1, MOST_PLACES):
        TokenFamily.objects.all().delete()
        (code,) = make_codes(program, user, 1)
        answer = server.ask(program.redeem(code), f"kill {when} {place}")
        if answer is not None:
            assert answer.status == 200
            break
        claimed = AuthorizationCode.objects.get().family_id is not None
        assert rows() == ((1, 1, 1) if claimed else (0, 0, 0))
        again = server.ask(program.redeem(code))
        assert again is not None
        outcomes.append(again.status)
        if claimed:
            # What was made never left the process, and the client can only begin anew: none of it may live.
            assert (again.status, again.error) == (400, "invalid_grant")
            assert TokenFamily.objects.get().revoked_reason == "replay"
            continue
        assert again.status == 200
        assert rows() == (1, 1, 1)
        opened = server.ask(use(again.json()["access_token"]))
        assert opened is not None
        assert opened.status == 200
    assert answer is not None, "the walk never came to its end"
    # Every statement up to the commit leaves nothing; only behind it the code is gone. PostgreSQL has no more than two:
    # one to read, and one to write, which is its own transaction.
    assert len(outcomes) == 2 if connection.vendor == "postgresql" else outcomes[:5] == [200] * 5
    assert outcomes == sorted(outcomes)
    assert outcomes[-1] == (200 if when == "before" else 400)


@pytest.mark.parametrize("siblings", [False, None], ids=["no retry", "retries unknown"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_client_goes_on_after_a_refresh_that_was_killed(
    when: str, siblings: bool | None, server: Server, program: Program, user: Any
) -> None:
    dead = 0
    for place in range(1, MOST_PLACES):
        TokenFamily.objects.all().delete()
        (given,) = make_families(program, user, 1)
        TokenFamily.objects.update(has_siblings=siblings)
        answer = server.ask(program.refresh(given.refresh_token), f"kill {when} {place}")
        if answer is not None:
            assert answer.status == 200
            break
        dead += 1
        superseded = RefreshToken.objects.get(generation=0).superseded_at is not None
        assert rows() == ((1, 2, 2) if superseded else (1, 1, 1))
        again = server.ask(program.refresh(given.refresh_token))
        assert again is not None
        assert again.status == 200
        assert rows() == ((1, 3, 3) if superseded else (1, 2, 2))
        for token in (given.access_token, again.json()["access_token"]):
            opened = server.ask(use(token))
            assert opened is not None
            assert opened.status == 200
        onward = server.ask(program.refresh(again.json()["refresh_token"]))
        assert onward is not None
        assert onward.status == 200
    assert answer is not None, "the walk never came to its end"
    # PostgreSQL has two: one to read, and one to write; where there may be siblings to wait for, one more and a commit.
    expected = 2 if siblings is False else 4
    assert dead == expected if connection.vendor == "postgresql" else dead >= 5
