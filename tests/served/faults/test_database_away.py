"""The database goes away: before any statement of a request, or altogether. 503, and the next request is served."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from django.db import connection

from django_pkce_auth.server.models import AccessToken, RefreshToken, TokenFamily
from tests.served.faults.endpoints import ENDPOINTS, Scene
from tests.served.wire import Answer, Request, Wire
from tests.served.workers import environment, serving

HOOK = "tests.served.faults.hook.install"
MOST_PLACES = 30
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)
needs_server = pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has no server that could go away")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("away") / "worker.log"


@pytest.fixture(scope="module")
def wire(log: Path, django_db_setup: None) -> Iterator[Wire]:
    """A connection to a server process that counts statements."""
    with serving(1, log, environment(SERVED_HOOK=HOOK)) as (worker,):
        connected = Wire(worker.port)
        yield connected
        connected.close()
    assert "Traceback" not in log.read_text()


def is_friendly(answer: Answer) -> bool:
    """503, when to come again, and nothing of what went wrong."""
    said = answer.body.decode()
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert "temporarily_unavailable" in said or "Please try again" in said
    assert "127.0.0.1" not in said
    return answer.status == 503


@needs_server
@every_endpoint
def test_connection_that_is_cut_before_any_statement_gives_503(endpoint: str, wire: Wire) -> None:
    prepare, well = ENDPOINTS[endpoint]
    scene, refused = Scene(), 0
    for place in range(1, MOST_PLACES):
        scene.fresh()
        request = prepare(scene)
        before = TokenFamily.objects.count(), AccessToken.objects.count(), RefreshToken.objects.count()
        answer = wire.ask(Request(request.method, request.path, request.form, faulty(request, place)))
        if answer.headers["x-fault-met"] == "False":
            break
        assert is_friendly(answer)
        refused += 1
        assert (TokenFamily.objects.count(), AccessToken.objects.count(), RefreshToken.objects.count()) == before
        again = wire.ask(request)
        assert again.status == well, again.body
    assert refused >= 1
    assert answer.status == well, "the walk never came to its end"


def faulty(request: Request, place: int) -> dict[str, str]:
    return {**request.headers, "X-Fault": f"cut before {place}"}


class Proxy:
    """A TCP proxy in front of the database server, to be switched off and on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.is_on = True
        self.pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def switch_off(self) -> None:
        self.is_on = False
        for each in self.pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def switch_on(self) -> None:
        self.is_on = True

    def close(self) -> None:
        self.switch_off()
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self.listening.accept()
                if not self.is_on:
                    ours.close()
                    continue
                theirs = socket.create_connection(self.target)
                self.pairs += [ours, theirs]
                for source, sink in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def everything(wire: Wire, scene: Scene) -> dict[str, Request]:
    scene.fresh()
    requests = {}
    for name, (prepare, _) in ENDPOINTS.items():
        if name in ("withdrawal", "remembered approval", "exchange of a device's code"):
            continue  # one consent and one device at a time
        requests[name] = prepare(scene)
    return requests


def check_all_refused_then_served(wire: Wire, requests: dict[str, Request], restore: object) -> None:
    for name, request in requests.items():
        assert is_friendly(wire.ask(request)), name
    restore()  # type: ignore[operator]
    for name, request in requests.items():
        assert wire.ask(request).status == ENDPOINTS[name][1], name


@needs_server
@pytest.mark.parametrize("age", [0, 600])
def test_server_that_is_unreachable_gives_503_until_it_is_back(age: int, tmp_path: Path) -> None:
    settings = connection.settings_dict
    port = int(settings["PORT"] or {"postgresql": 5432, "mysql": 3306}[connection.vendor])
    log = tmp_path / "worker.log"
    with closing(Proxy((settings["HOST"] or "127.0.0.1", port))) as proxy:
        database = {"HOST": "127.0.0.1", "PORT": str(proxy.port), "CONN_MAX_AGE": age}
        with serving(1, log, environment({"DATABASES": {"default": database}})) as (worker,):
            wire, scene = Wire(worker.port), Scene()
            requests = everything(wire, scene)
            assert wire.ask(requests["guard"]).status == 200
            proxy.switch_off()
            check_all_refused_then_served(wire, requests, proxy.switch_on)
            wire.close()
    said = log.read_text()
    assert "Traceback" not in said
    assert said.count("The database did not answer") == len(requests)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="servers lock rows")
def test_file_that_is_locked_for_too_long_gives_503_until_it_is_free(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with serving(1, log, environment({"DATABASES": {"default": {"OPTIONS": {"timeout": 0.1}}}})) as (worker,):
        wire, scene = Wire(worker.port), Scene()
        requests = everything(wire, scene)
        assert wire.ask(requests["guard"]).status == 200
        with connection.cursor() as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            check_all_refused_then_served(wire, requests, lambda: cursor.execute("COMMIT"))
        wire.close()
    assert "Traceback" not in log.read_text()
