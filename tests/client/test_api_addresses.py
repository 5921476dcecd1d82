"""``connection.client()`` of a provider that was entered in the admin leads to public addresses only."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from django_pkce_auth import deadline
from django_pkce_auth.client.errors import ConnectError
from django_pkce_auth.client.models import Connection, Provider

ACCESS_TOKEN = "the-access-token-of-beta-0123456789"
HOST = "api.beta.example"


def sync_get(connection: Connection, **options: Any) -> httpx2.Response:
    with connection.client(**options) as client:
        return client.get("me")


async def _async_get(connection: Connection, **options: Any) -> httpx2.Response:
    async with await sync_to_async(connection.async_client)(**options) as client:
        return await client.get("me")


def async_get(connection: Connection, **options: Any) -> httpx2.Response:
    return async_to_sync(_async_get)(connection, **options)


both_clients = pytest.mark.parametrize("get", [sync_get, async_get], ids=["sync", "async"])


@pytest.fixture
def beta(db: None, alice: Any) -> Callable[[str], Connection]:
    def make(api_base_url: str) -> Connection:
        Provider.objects.create(
            slug="beta",
            authorize_url="https://beta.example/authorize",
            token_url="https://beta.example/token",
            api_base_url=api_base_url,
            client_id="us",
        )
        return Connection.objects.create(
            user=alice,
            provider="beta",
            raw_access_token=ACCESS_TOKEN,
            access_token_expires_at=timezone.now() + datetime.timedelta(hours=1),
        )

    return make


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Host → addresses, in place of the resolver."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        return [found for address in known[host] for found in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.fixture
def listener() -> Iterator[tuple[int, list[Any]]]:
    """A port of this machine, and who connected to it: nobody may."""
    connected: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connected.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], connected
        stop.set()
        thread.join()
    for each in connected:
        each.close()


@both_clients
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", None),
        ("localhost", None),
        ("[::ffff:127.0.0.1]", None),
        ("2130706433", None),
        (HOST, ["127.0.0.1"]),
        (HOST, ["93.184.216.34", "127.0.0.1"]),
        (HOST, ["::ffff:127.0.0.1"]),
        (HOST, ["169.254.169.254"]),
        (HOST, ["10.0.0.1"]),
    ],
)
def test_no_byte_goes_into_our_own_network(
    get: Callable[..., httpx2.Response],
    host: str,
    addresses: list[str] | None,
    beta: Any,
    listener: tuple[int, list[Any]],
    names: dict[str, list[str]],
) -> None:
    port, connected = listener
    if addresses:
        names[host] = addresses
    with pytest.raises(httpx2.ConnectError) as refused:
        get(beta(f"https://{host}:{port}/"))
    assert connected == []
    assert ACCESS_TOKEN not in str(refused.value)


@both_clients
def test_plain_http_is_refused(get: Callable[..., httpx2.Response], beta: Any, listener: tuple[int, list[Any]]) -> None:
    with pytest.raises(ConnectError, match="not https"):
        get(beta(f"http://127.0.0.1:{listener[0]}/"))
    assert listener[1] == []


@both_clients
def test_proxy_is_no_way_around_it(
    get: Callable[..., httpx2.Response], beta: Any, listener: tuple[int, list[Any]], names: dict[str, list[str]]
) -> None:
    names[HOST] = ["10.0.0.1"]
    with pytest.raises(httpx2.ConnectError):
        get(beta(f"https://{HOST}/"), proxy=f"http://127.0.0.1:{listener[0]}")
    assert listener[1] == []


@both_clients
def test_international_name_is_looked_up_as_it_is_registered(
    get: Callable[..., httpx2.Response], beta: Any, names: dict[str, list[str]]
) -> None:
    """Under the rules of 2003 the name would be strasse.example, which may be anybody's."""
    names["xn--strae-oqa.example"] = ["10.0.0.1"]
    with pytest.raises(httpx2.ConnectError, match="not public"):
        get(beta("https://xn--strae-oqa.example/"))


def certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext, list[bytes]]]:
    """A real HTTPS server for ``HOST``: its port, a context that trusts it, and what it was sent."""
    paths = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*paths)
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def answer() -> None:
            with serving.wrap_socket(server.accept()[0], server_side=True) as stream:
                seen.append(stream.recv(65536))
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1], ssl.create_default_context(cafile=str(paths[0])), seen
        thread.join()


@both_clients
def test_public_address_is_reached_by_name_certificate_and_host_header(
    get: Callable[..., httpx2.Response],
    beta: Any,
    api: tuple[int, ssl.SSLContext, list[bytes]],
    names: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one address that a test can have plays a public one; the first of the two answers nobody."""
    port, context, seen = api
    names[HOST] = ["127.0.0.2", "127.0.0.1"]
    monkeypatch.setattr(deadline, "is_public", lambda address: ipaddress.ip_address(address).is_loopback)
    assert get(beta(f"https://{HOST}:{port}/"), verify=context, timeout=20).json() == {}
    head = seen[0].decode("latin-1").lower()
    assert f"\r\nhost: {HOST}:{port}\r\n" in head
    assert f"\r\nauthorization: bearer {ACCESS_TOKEN}".lower() in head
