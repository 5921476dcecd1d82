"""Which addresses are of the Internet, and that the checked one is the one that is reached."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from django_pkce_auth.deadline import is_public
from django_pkce_auth.transport import HttpTransport, TransportError


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
)
def test_public_address_is_reached(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "fec0::1",
        "4000::1",
        "2002:7f00:1::",
        "2001:db8::1",
        "no address",
        "",
    ],
)
def test_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_name_with_a_private_address_is_never_connected_to(addresses: list[str], monkeypatch: Any) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(TransportError, match="ConnectError: The host has an address that is not public"):
        HttpTransport(public_only=True).request("GET", "https://rebinding.example/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost/", "http://beta.example/"])
def test_guarded_transport_takes_https_only(url: str) -> None:
    with pytest.raises(TransportError, match="not https"):
        HttpTransport(public_only=True).request("GET", url)
