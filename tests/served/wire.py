"""HTTP over sockets that stay open, so that many requests can be under way before the first answer is read."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

HOST = "testserver"
FORM = "application/x-www-form-urlencoded"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        body = urlencode(self.form).encode() if self.form is not None else b""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {HOST}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.form is not None:
            lines += [f"Content-Type: {FORM}", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json()["error"]) if self.body.startswith(b"{") else ""

    @property
    def returned(self) -> dict[str, str]:
        """What came back in the query of the redirect."""
        return dict(parse_qsl(urlsplit(self.headers.get("location", "")).query))


class Lost(Exception):
    """The server hung up without an answer."""


class Wire:
    """One connection that is kept alive; it is opened anew after the server hung up."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None
        self._left = b""

    def send(self, request: Request) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request.encode())

    def receive(self) -> Answer:
        """Return the answer to what was sent; raises Lost where none came."""
        try:
            while b"\r\n\r\n" not in self._left:
                self._read()
            head, _, self._left = self._left.partition(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            length = int(headers["content-length"])
            while len(self._left) < length:
                self._read()
        except OSError as error:
            self.close()
            raise Lost from error
        body, self._left = self._left[:length], self._left[length:]
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(status.split()[1]), headers, body)

    def ask(self, request: Request) -> Answer:
        self.send(request)
        return self.receive()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def _read(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(65_536)
        if not received:
            raise ConnectionResetError("the server hung up")
        self._left += received


def at_once(wires: Sequence[Wire], requests: Sequence[Request]) -> list[Answer]:
    """Send every request on a connection of its own before the first answer is read."""
    used = wires[: len(requests)]
    for wire, request in zip(used, requests, strict=True):
        wire.send(request)
    return [wire.receive() for wire in used]
