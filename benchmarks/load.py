"""``python -m benchmarks.load PORT FILE NAME FIRST COUNT CONNECTIONS``: send prepared requests over kept connections.

A process of its own, so that what it costs is in nobody's figures. Any answer but the right one ends it with status 1.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.exchange import Flow, Request, load, redeem

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


def main(port: int, file: str, name: str, first: int, count: int, connections: int) -> None:
    sent = load(Path(file), name)[first : first + count]
    if len(sent) != count:
        raise SystemExit(f"only {len(sent)} of {count} were prepared")

    def use(place: int) -> None:
        server = Server(port)
        for one in sent[place::connections]:
            server.send(one)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(use, range(connections)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
