"""Redirect URIs: which may be registered, and which request matches (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import partial
from heapq import nlargest
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

MAX_CHARACTERS = 2_000
_COMPARED_CHARACTERS = 200  # what explain_mismatch weighs: its comparison is cubic at worst
_COMPARED_URIS = 10
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})

_URI_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z|\[[0-9a-f:.]+\]\Z")
_LIKE_AN_ADDRESS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_LOOPBACK = re.compile(r"http://(?P<host>127\.0\.0\.1|\[::1\])(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:[/?].*)?)\Z")


def problem(uri: str) -> str | None:
    """Return why ``uri`` can't be registered, as a sentence for the person who registers it, or None if it can."""
    if not uri or len(uri) > MAX_CHARACTERS:
        return f"A redirect URI has 1 to {MAX_CHARACTERS} characters; this one has {len(uri)}."
    if not _URI_CHARACTERS.match(uri):
        return "A redirect URI may hold only the ASCII characters of RFC 3986; percent-encode all others, % as %25."
    if "#" in uri:
        return "A redirect URI must not have a fragment (the part behind #); remove it (RFC 6749 section 3.1.2)."
    if "*" in uri:
        return "Wildcards are not supported, as they let others catch codes; register each redirect URI by itself."
    scheme, separator, _ = uri.partition(":")
    if not separator or not _SCHEME.match(scheme):
        return "A redirect URI is absolute and begins with a scheme in lower case, such as https://."
    if scheme in ("https", "http"):
        return _web_problem(uri, scheme)
    if _split(uri) is None:
        return "This is not a URI: square brackets belong around an IPv6 address (RFC 3986 section 3.2.2)."
    if "." not in scheme:
        return (
            "A private-use scheme must be a domain name that you control, in reverse order, so it has a dot: "
            "com.example.app:/callback (RFC 8252 section 7.1). For the web use https://."
        )
    return None if len(uri) > len(scheme) + 1 else "A redirect URI needs a path behind its scheme."


def _web_problem(uri: str, scheme: str) -> str | None:
    parts = _split(uri)
    if parts is None or not uri.startswith(f"{scheme}://"):
        return "This is not a URL with a host: https://app.example/callback is the form."
    if "@" in parts.netloc:
        return "A redirect URI must not hold a user name or password before its host; remove the part up to @."
    host, port = _host_and_port(parts.netloc)
    if not _HOST.match(host):
        return "The host must be a domain name in lower-case ASCII (punycode for others) without a trailing dot."
    if port is not None and not (_PORT.match(port) and int(port) <= 65535):
        return "The port must be a number from 1 to 65535, or be left out together with its colon."
    if any(segment in (".", "..", "%2e", "%2e%2e", ".%2e", "%2e.") for segment in parts.path.lower().split("/")):
        return "The path must not hold the segments . and .., as browsers resolve them; write the resolved path."
    if scheme == "http" and host not in LOOPBACK_HOSTS:
        return "http:// is accepted for loopback (127.0.0.1, [::1], localhost) only; use https://."
    if _LIKE_AN_ADDRESS.match(host) and _address(host) is None:
        return "Browsers take this host for an IP address; write its four numbers, each from 0 to 255."
    return None


def is_loopback(uri: str) -> bool:
    """True where the code goes to a program on the user's own machine, whose identity nobody proves."""
    parts = _split(uri)
    if parts is None or parts.scheme not in ("http", "https"):
        return False
    host, _ = _host_and_port(parts.netloc)
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    address = _address(host)
    inner = getattr(address, "ipv4_mapped", None) or address
    # What is unspecified leads to the own machine as well.
    return inner is not None and (inner.is_loopback or inner.is_unspecified)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_claimed_https(uri: str) -> bool:
    """True where the code goes to a host that is somebody's, whose certificate proves it."""
    parts = _split(uri)
    return parts is not None and uri.startswith("https://") and not is_loopback(uri)


def host_of(uri: str) -> str:
    """Return what to show a person as the place that a code goes to: host and port, or the private-use scheme."""
    parts = _split(uri)
    if parts is None:
        return ""
    return parts.netloc if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def matches(registered: str, requested: str) -> bool:
    """True for the same string, and for a loopback address that differs in its port alone (RFC 8252 §7.3)."""
    if registered == requested:
        return True
    ours, theirs = _LOOPBACK.match(registered), _LOOPBACK.match(requested)
    if ours is None or theirs is None or not _URI_CHARACTERS.match(requested) or "#" in requested:
        return False
    port = theirs["port"]
    if port is not None and not (_PORT.match(port) and int(port) <= 65535):
        return False
    return (ours["host"], ours["rest"]) == (theirs["host"], theirs["rest"])


def explain_mismatch(registered: Iterable[str], requested: str) -> str:
    """Name the registered URI that is nearest to ``requested`` and the first part that differs.

    For the log and the page under DEBUG only: it repeats what arrived, with each odd character as a question mark.
    """
    candidates = list(registered)
    shown = _printable(requested[:300])
    if not candidates:
        return f"The client has no redirect URI registered; the request named {shown}."
    nearest = _nearest(candidates, requested)
    difference = _first_difference(nearest, requested)
    return f"The request named {shown}, the nearest registered one is {_printable(nearest)}; {difference}."


def _nearest(registered: list[str], requested: str) -> str:
    matcher = SequenceMatcher(b=requested[:_COMPARED_CHARACTERS])

    def likeness(uri: str, *, quick: bool = False) -> float:
        matcher.set_seq1(uri[:_COMPARED_CHARACTERS])
        return matcher.quick_ratio() if quick else matcher.ratio()

    # By their letters first: a client may have hundreds, and anybody can ask.
    likely = nlargest(_COMPARED_URIS, registered, key=partial(likeness, quick=True))
    return max(likely, key=likeness)


def _first_difference(registered: str, requested: str) -> str:
    ours, theirs = _split(registered), _split(requested)
    if ours is None or theirs is None:
        return "one of them is not a URI"
    parts = {
        "scheme": (ours.scheme, theirs.scheme),
        "host": (_host_and_port(ours.netloc)[0], _host_and_port(theirs.netloc)[0]),
        "port": (_host_and_port(ours.netloc)[1], _host_and_port(theirs.netloc)[1]),
        "path": (ours.path, theirs.path),
        "query": (ours.query, theirs.query),
        "fragment": (ours.fragment, theirs.fragment),
    }
    for name, (our, their) in parts.items():
        if our != their:
            if name == "port" and parts["host"][0] == "localhost" and ours.scheme == "http":
                return f"they differ in the port, and that of localhost is fixed: {_loopback_address(ours)}"
            if name == "path" and ours.path.rstrip("/") == theirs.path.rstrip("/"):
                return "they differ in the trailing slash of the path"
            return f"they differ in the {name}"
    # urlsplit lowers the scheme and drops line ends, control characters at the beginning, and an empty ? or #.
    return "they differ in the letter case of the scheme, a bare ? or #, or an invisible character"


def _loopback_address(parts: SplitResult) -> str:
    uri = urlunsplit(("http", "127.0.0.1", parts.path, parts.query, ""))
    return f"register and use {_printable(uri)}, which has whatever port the app has (RFC 8252 section 8.3)"


def _printable(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "?", text)


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:
        return None


def _host_and_port(netloc: str) -> tuple[str, str | None]:
    host, colon, port = netloc.rpartition(":")
    if not colon or port.endswith("]"):
        return netloc, None
    return host, port
