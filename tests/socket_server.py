"""Real sockets on loopback, and what they answer: byte by byte, as bad as a test wants it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from django_pkce_auth import transport

Behaviour = Callable[[socket.socket], None]


@dataclass
class Server:
    """A socket that hands each connection to ``behaviour``; it keeps the requests that it read."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    accepted: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def sends(*pieces: bytes, close: bool = False) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return behave


def drips(head: bytes, byte: bytes) -> Behaviour:
    """Send ``head`` at once and then a byte each 50 ms, for as long as somebody reads, and no longer than 20 s."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(400):
            connection.sendall(byte)
            time.sleep(0.05)

    return behave


@contextmanager
def serving() -> Iterator[Callable[[Behaviour], Server]]:
    """Start a server for each behaviour that is given; all of them end with the block."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stop = threading.Event()

    def start(behaviour: Behaviour) -> Server:
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(listener.getsockname()[1])
        listeners.append(listener)

        def handle(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(5)
                while request := read_request(connection):
                    server.requests.append(request)
                    behaviour(connection)

        def accept() -> None:
            with suppress(OSError):
                while not stop.is_set():
                    connection, _ = listener.accept()
                    server.accepted += 1
                    thread = threading.Thread(target=handle, args=(connection,), daemon=True)
                    threads.append(thread)
                    thread.start()

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return server

    transport._pool.cache_clear()
    try:
        yield start
    finally:
        stop.set()
        transport._pool(os.getpid(), False).close()
        transport._pool.cache_clear()
        for listener in listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join(5)
