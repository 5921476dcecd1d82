"""The whole flow over HTTP, again and again, for as long as something else goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.served.races.cast import Program, use
from tests.served.wire import Answer, Request, Wire

CSRF = "c" * 32


@dataclass
class Visitor:
    """A user's browser and a client program; each request goes to the next of the server processes."""

    program: Program
    session: str
    link: str
    ports: Sequence[int]
    walks: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    _wires: dict[int, Wire] = field(default_factory=dict)
    _asked: int = 0

    def walk_until(self, done: threading.Event) -> None:
        while not done.is_set() and not self.failures:
            self.walk()
            self.walks += 1
        for wire in self._wires.values():
            wire.close()

    def walk(self) -> None:
        headers = {"Cookie": f"sessionid={self.session}; csrftoken={CSRF}", "X-CSRFToken": CSRF}
        self._ask(Request("GET", f"{self.link}&prompt=consent", headers=headers), 200)
        approved = self._ask(Request("POST", self.link, {"decision": "approve"}, headers), 303)
        if approved is None or "code" not in approved.returned:
            return
        given = self._ask(self.program.redeem(approved.returned["code"]), 200)
        if given is None:
            return
        self._ask(use(given.json()["access_token"]), 200)
        renewed = self._ask(self.program.refresh(given.json()["refresh_token"]), 200)
        if renewed is None:
            return
        token = renewed.json()["access_token"]
        self._ask(self.program.post("/oauth/introspect", {"token": token}), 200)
        self._ask(use(token), 200)
        self._ask(self.program.revoke(token), 200)
        self._ask(use(token), 401)
        self._ask(Request("GET", "/oauth/apps", headers=headers), 200)

    def _ask(self, request: Request, expected: int) -> Answer | None:
        port = self.ports[self._asked % len(self.ports)]
        self._asked += 1
        wire = self._wires.setdefault(port, Wire(port))
        began = time.monotonic()
        answer = wire.ask(request)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.status == expected:
            return answer
        self.failures.append(f"{request.method} {request.path[:60]}: {answer.status} {answer.body[:200]!r}")
        return None
