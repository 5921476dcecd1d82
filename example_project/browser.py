"""A browser without a screen: a cookie jar, links, forms with their hidden fields, redirects; each request printed."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
from bs4 import BeautifulSoup, Tag
from rich.console import Console
from rich.text import Text

from .middleware import POLICY

SECRET = frozenset(
    {"code", "state", "code_challenge", "code_verifier", "csrfmiddlewaretoken", "password", "access_token"}
)
MAX_REDIRECTS = 8
TIMEOUT = 60
"""Seconds: each site asks another one meanwhile, and all of them may be on a small machine."""
INLINE = "script:not([src]), style, [style], [onclick], [onload], [onsubmit]"


class StepFailed(Exception):
    """What a step of the walk found is not what it must find."""


def expect(holds: object, why: str) -> None:
    if not holds:
        raise StepFailed(why)


class Browser:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._http = httpx2.Client(follow_redirects=False, trust_env=False, timeout=TIMEOUT)
        self.url = ""
        self.status = 0
        self.page = BeautifulSoup("", "html.parser")

    def close(self) -> None:
        self._http.close()

    def open(self, url: str) -> None:
        self._load("GET", url)

    def follow(self, selector: str) -> None:
        """Click the link that ``selector`` finds."""
        self.open(self.address(selector))

    def address(self, selector: str) -> str:
        return urljoin(self.url, str(self._find(f"a{selector}")["href"]))

    def press(self, button: str, **typed: str) -> None:
        """Fill in the form that has a button of this text, and press it."""
        found = next((each for each in self.page.select("form button") if _words(each) == button), None)
        form = found.find_parent("form") if found else None
        if found is None or form is None:
            raise StepFailed(f"{self.url} has no button {button!r}; it says: {self.text[:300]}")
        fields: dict[str, list[str]] = {}
        for each in form.select("input[name]"):
            unticked = each.get("type") == "checkbox" and not each.has_attr("checked")
            if not unticked and not each.has_attr("disabled"):
                fields.setdefault(str(each["name"]), []).append(str(each.get("value", "")))
        expect(set(typed) <= set(fields), f"{self.url}: the form lacks one of the fields {sorted(typed)}")
        fields |= {name: [value] for name, value in typed.items()}
        if found.get("name"):
            fields[str(found["name"])] = [str(found.get("value", ""))]
        self._load("POST", urljoin(self.url, str(form.get("action") or self.url)), fields)

    @property
    def text(self) -> str:
        return _words(self.page)

    def read(self, selector: str) -> str:
        return _words(self._find(selector))

    def has(self, selector: str) -> bool:
        return self.page.select_one(selector) is not None

    def _find(self, selector: str) -> Tag:
        found = self.page.select_one(selector)
        if found is None:
            raise StepFailed(f"{self.url} has no {selector}; it says: {self.text[:300]}")
        return found

    def _load(self, method: str, url: str, fields: dict[str, list[str]] | None = None) -> None:
        for _ in range(MAX_REDIRECTS):
            response = self._request(method, url, fields)
            target = _target(response)
            if target is None:
                self.url, self.status = url, response.status_code
                self.page = BeautifulSoup(response.text, "html.parser")
                return
            # Every redirect here is to be followed by GET; a form is never sent on to another place.
            method, url, fields = "GET", urljoin(url, target), None
        raise StepFailed(f"more than {MAX_REDIRECTS} redirects in a row, the last one to {shown(url)}")

    def _request(self, method: str, url: str, fields: dict[str, list[str]] | None) -> httpx2.Response:
        # What a browser says of a page load; a posted form also names the site that it stood on.
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
        if method == "POST":
            parts = urlsplit(self.url)
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        try:
            response = self._http.request(method, url, data=fields, headers=headers)
        except httpx2.HTTPError as error:
            raise StepFailed(f"{method} {shown(url)}: {type(error).__name__}") from None
        for line in _lines(method, url, fields, response):
            self._console.print(line)
        expect(response.headers.get("Content-Security-Policy") == POLICY, f"{shown(url)} has another CSP header")
        inline = BeautifulSoup(response.text, "html.parser").select_one(INLINE)
        expect(inline is None, f"{shown(url)} has inline script or style, which its CSP header forbids: {inline}")
        return response


def _target(response: httpx2.Response) -> str | None:
    """Return where the answer sends the browser: by redirect, or by a page that goes on by itself."""
    location = response.headers.get("Location")
    if location is not None and response.is_redirect:
        return str(location)
    _, separator, url = str(response.headers.get("Refresh", "")).partition("url=")
    return url if separator else None


def _lines(method: str, url: str, fields: dict[str, list[str]] | None, response: httpx2.Response) -> Iterator[Text]:
    yield Text.assemble(("   → ", "cyan"), (f"{method:5}", "bold"), shown(url))
    if fields:
        yield Text(
            "           " + "  ".join(f"{name}={_short(name, ' '.join(values))}" for name, values in fields.items()),
            "dim",
        )
    style = "green" if response.status_code < 400 else "yellow"
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    yield Text.assemble(("   ← ", "cyan"), (f"{response.status_code} {response.reason_phrase}", style), f"  {kind}")
    for name in ("Location", "Refresh", "WWW-Authenticate"):
        if name in response.headers:
            yield Text(f"           {name}: {shown(response.headers[name])}", "dim")
    for cookie in response.headers.get_list("Set-Cookie"):
        name, _, rest = cookie.partition("=")
        yield Text(f"           Set-Cookie: {name}={rest[:4]}…", "dim")


def shown(url: str) -> str:
    """Return the URL for people: unquoted, with what is secret in it cut to a few characters."""
    base, mark, query = url.partition("?")
    if not mark:
        return url
    return base + "?" + "&".join(f"{name}={_short(name, value)}" for name, value in parse_qsl(query))


def _short(name: str, value: str) -> str:
    if name in SECRET:
        return f"{value[:6]}…"
    path, mark, _ = value.partition("?")
    return f"{path}?…" if name == "next" and mark else value


def _words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ", strip=True).split())
