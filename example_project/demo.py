"""``python -m example_project.demo``: the sites on this machine, to click through; ``--check`` walks it by itself."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from .sites import Demo, Running, SiteFailed, free_ports, prepare, running
from .walk import StepFailed, walk


class Stopped(BaseException):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(highlight=False, soft_wrap=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with _directory(options.directory) as directory:
            return _run(directory, options, console)
    except (SiteFailed, StepFailed) as error:
        console.print(f"[bold red]Failed:[/] {escape(str(error))}")
        return 1
    except Stopped as stopped:
        console.print("\nStopped; the sites have ended.")
        return 128 + stopped.number if options.check else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="walk the whole flow over HTTP, and end")
    parser.add_argument("--directory", type=Path, help="an empty directory to keep databases and logs in")
    parser.add_argument("--server-port", type=int, default=8000, help="default 8000; another one where it is taken")
    parser.add_argument("--app-port", type=int, default=8001, help="default 8001; another one where it is taken")
    parser.add_argument("--print-shop-port", type=int, default=8002, help="default 8002; another one where it is taken")
    return parser.parse_args(arguments)


def _stop(number: int, frame: FrameType | None) -> None:
    # A second Ctrl-C must not cut the stopping short.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is None:
        with TemporaryDirectory(prefix="pkce-demo-") as temporary:
            yield Path(temporary)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise SiteFailed(f"{given} is not empty; each run makes its own users and keys, so name a new directory.")
    yield given.resolve()


def _run(directory: Path, options: argparse.Namespace, console: Console) -> int:
    server_port, app_port, print_shop_port = free_ports(options.server_port, options.app_port, options.print_shop_port)
    demo = Demo(directory, server_port, app_port, print_shop_port)
    console.print("Making the databases, and starting the sites …")
    prepare(demo)
    with running(demo) as sites:
        if options.check:
            return _check(demo, sites, console)
        _introduce(demo, console)
        while True:
            sites.check()
            time.sleep(0.5)


def _check(demo: Demo, sites: Running, console: Console) -> int:
    try:
        walk(demo, console)
    except StepFailed:
        console.print(escape(sites.logged()))
        raise
    return 0


def _introduce(demo: Demo, console: Console) -> None:
    where = Table("Site", "Address", "User name", "Password", box=None, padding=(0, 2, 0, 0), header_style="bold")
    where.add_row("Postcards, the app", demo.app_url, demo.app_user.name, demo.app_user.password)
    where.add_row("Photo Box, the server", demo.server_url, demo.server_user.name, demo.server_user.password)
    where.add_row("Print Shop, another API", demo.print_shop_url, "-", "-")
    console.print(Panel(where, title="The sites are up", expand=False))
    console.print(
        f"""
 1. Open [bold]{demo.app_url}[/] and log in as [bold]{demo.app_user.name}[/].
 2. Press [bold]Connect your Photo Box account[/]; log in there as [bold]{demo.server_user.name}[/], and press \
[bold]Allow[/].
 3. Postcards shows the photos; [bold]Refresh it now[/] gets a new token.
 4. Log out of Postcards, and press [bold]Log in with Photo Box[/].

 5. Open [bold]{demo.server_url}/api/docs/[/], press [bold]Authorize[/], and try what Photo Box's API answers.

 The clients of the server are at [bold]{demo.server_url}/admin/[/] (as {demo.server_user.name}).
 Ctrl-C stops all of them and removes what they stored, unless --directory named a place for it.
"""
    )


if __name__ == "__main__":
    sys.exit(main())
