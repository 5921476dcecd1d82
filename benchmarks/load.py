"""Prepared requests, sent over connections that are kept; any answer but the right one ends the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.exchange import Flow, Request, redeem

FORM = "application/x-www-form-urlencoded"
HOST = "server.example"


class Hidden(HTMLParser):
    """The fields of a form that its page fills in itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        field = dict(attrs)
        if tag == "input" and (field.get("type") == "hidden" or "checked" in field) and field.get("name"):
            self.fields.append((str(field["name"]), field.get("value") or ""))


class Server:
    """One connection, kept."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, one: Request | Flow) -> None:
        if isinstance(one, Flow):
            self._walk(one)
        else:
            self._expect(200, *self._ask(one.method, one.path, one.body, one.headers))

    def _walk(self, flow: Flow) -> None:
        answer, page = self._ask("GET", flow.authorize, "", {"Cookie": flow.cookie})
        self._expect(200, answer, page)
        csrf = str(answer.headers["Set-Cookie"]).partition(";")[0]
        hidden = dict(Hidden(page.decode()).fields)
        scopes = [field for field in Hidden(page.decode()).fields if field[0] == "scope"]
        fields = [*(field for field in hidden.items() if field[0] != "scope"), *scopes, *flow.approval.items()]
        headers = {"Cookie": f"{flow.cookie}; {csrf}", "Origin": f"https://{HOST}"}
        answer, page = self._ask("POST", flow.authorize, urlencode(fields), headers)
        self._expect((302, 303), answer, page)
        (code,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
        token = redeem(flow.token, flow.client_id, flow.secret, code)
        self._expect(200, *self._ask(token.method, token.path, token.body, token.headers))

    def _ask(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> tuple[HTTPResponse, bytes]:
        sent = {"Host": HOST, "X-Forwarded-Proto": "https", **headers} | ({"Content-Type": FORM} if body else {})
        self._connection.request(method, path, body or None, sent)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def _expect(self, status: int | tuple[int, ...], answer: HTTPResponse, body: bytes) -> None:
        allowed = (status,) if isinstance(status, int) else status
        if answer.status not in allowed or b'"active": false' in body:
            raise SystemExit(f"{answer.status} {dict(answer.headers)} {body[:1000]!r}")


class Load:
    """As many connections to one server as were ever asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._servers: list[Server] = []

    def send(self, requests: Sequence[Request | Flow], connections: int) -> None:
        """Send all of them, over so many connections at once."""
        while len(self._servers) < connections:
            self._servers.append(Server(self._port))

        def use(place: int) -> None:
            for one in requests[place::connections]:
                self._servers[place].send(one)

        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(use, range(connections)))
