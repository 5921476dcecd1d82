"""``python -m example_project.demo``: what it says, how it ends, and that nothing outlives it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rich")
from example_project import demo, walk
from example_project.sites import APP, PRINT_SHOP, SERVER, SITES, Demo, SiteFailed, free_ports, running

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def _own_signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _at(ports: list[int]) -> list[str]:
    names = ("--server-port", "--app-port", "--print-shop-port")
    return [f"{name}={port}" for name, port in zip(names, ports, strict=True)]


@contextmanager
def _started(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start the demo for people; yield it once it is up, and its ports."""
    ports = free_ports(0, 0, 0)
    command = [sys.executable, "-m", "example_project.demo", *_at(ports)]
    with subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if "Ctrl-C" in line:
                    break
            assert process.poll() is None, printed
            for port in ports:
                assert f"http://127.0.0.1:{port}" in printed
                assert _answers(port)
            yield process, ports
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_demo_ends_on_a_signal_and_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    with _started(f"--directory={tmp_path}") as (process, ports):
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    if number is not signal.SIGKILL:
        assert process.returncode == 0
        assert "Stopped" in output
    end = time.monotonic() + PATIENCE_SECONDS
    while any(_answers(port) for port in ports) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(_answers(port) for port in ports)


def test_check_that_fails_names_the_step_and_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(walk, "CONNECT", "A button that is not there")
    ports = free_ports(0, 0, 0)
    assert demo.main(["--check", *_at(ports)]) == 1
    output = capsys.readouterr().out
    assert re.search(r"Failed: step 4, .Allow.*has no button 'A button that is not there'", output)
    assert "app_site logged:" in output
    assert not any(_answers(port) for port in ports)


def test_site_that_can_not_start_is_named_with_what_it_printed(tmp_path: Path) -> None:
    server_port, print_shop_port = free_ports(0, 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sites = running(Demo(tmp_path, server_port, taken.getsockname()[1], print_shop_port))
        with pytest.raises(SiteFailed, match=r"(?s)app_site ended with status 1.*Address already in use"):
            sites.__enter__()
    assert not _answers(server_port)


def test_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first, second = free_ports(port, port)
    assert len({port, first, second}) == 3


def test_directory_that_holds_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.joinpath("notes.txt").touch()
    assert demo.main(["--check", "--directory", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_each_site_has_its_own_keys_and_no_others(tmp_path: Path) -> None:
    each = Demo(tmp_path, 1, 2, 3)
    for site, other in ((APP, SERVER), (SERVER, APP)):
        assert each.environment(site)["EXAMPLE_ENCRYPTION_KEY"] == each.encryption_keys[site]
        assert each.encryption_keys[other] not in each.environment(site).values()
        assert each.encryption_keys[site] not in each.environment(PRINT_SHOP).values()
        assert each.encryption_keys[site] not in repr(each)
    assert each.client_secret not in repr(each)


def test_openapi_document_has_no_fault(tmp_path: Path) -> None:
    """drf-spectacular's own command finds nothing to warn of: neither in our scheme nor in the example's views."""
    site = Demo(tmp_path, 1, 2, 3)
    command = [sys.executable, "-m", "django", "spectacular", "--validate", "--fail-on-warn"]
    done = subprocess.run(command, cwd=ROOT, env=site.environment(SERVER), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "authorizationCode" in done.stdout


@pytest.mark.parametrize("name", SITES)
def test_checks_find_nothing_in_any_site(name: str, tmp_path: Path) -> None:
    """Print Shop among them, which guards an API and has neither sign-in nor database."""
    site = Demo(tmp_path, 1, 2, 3)
    done = subprocess.run(
        [sys.executable, "-m", "django", "check", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=site.environment(name),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
