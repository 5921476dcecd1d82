"""A browser without a screen: cookies, redirects, and forms that are filled in by their fields' names."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
from bs4 import BeautifulSoup, Tag

MAX_REDIRECTS = 12
TIMEOUT = 60
Fields = dict[str, list[str]]


@dataclass
class Browser:
    """``elsewhere`` is where redirects are not followed to, as nobody answers there: a client's redirect URI."""

    elsewhere: str | None = None
    url: str = ""
    status: int = 0
    body: str = ""
    page: BeautifulSoup = field(default_factory=lambda: BeautifulSoup("", "html.parser"))

    def __post_init__(self) -> None:
        self._http = httpx2.Client(follow_redirects=False, trust_env=False, timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def open(self, url: str) -> None:
        self._load("GET", url, None)

    @property
    def landed(self) -> bool:
        return self.elsewhere is not None and self.url.startswith(self.elsewhere)

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def text(self) -> str:
        return " ".join(self.page.get_text(" ", strip=True).split())

    def has(self, selector: str) -> bool:
        return self.page.select_one(selector) is not None

    def follow(self, selector: str) -> None:
        self.open(urljoin(self.url, str(self._find(selector)["href"])))

    def press(self, button: str, **typed: str) -> None:
        """Send the form that has the button, with what is hidden and what is ticked in it, and ``typed``."""
        found = self._find(button)
        form = found.find_parent("form")
        assert form is not None, f"{button} stands in no form"
        fields = _filled_in(form)
        assert set(typed) <= set(fields), f"{self.url}: the form lacks one of {sorted(typed)}"
        fields |= {name: [value] for name, value in typed.items()}
        if found.get("name"):
            fields[str(found["name"])] = [str(found.get("value", ""))]
        self._load("POST", urljoin(self.url, str(form.get("action") or self.url)), fields)

    def _find(self, selector: str) -> Tag:
        found = self.page.select_one(selector)
        assert found is not None, f"{self.url} ({self.status}) has no {selector}; it says: {self.text[:500]}"
        return found

    def _load(self, method: str, url: str, fields: Fields | None) -> None:
        for _ in range(MAX_REDIRECTS):
            if self.elsewhere is not None and url.startswith(self.elsewhere):
                return self._show(url, 0, "")
            response = self._request(method, url, fields)
            target = _target(response)
            if target is None:
                return self._show(url, response.status_code, response.text)
            method, url, fields = "GET", urljoin(url, target), None
        raise AssertionError(f"more than {MAX_REDIRECTS} redirects, the last one to {url}")

    def _show(self, url: str, status: int, body: str) -> None:
        self.url, self.status, self.body = url, status, body
        self.page = BeautifulSoup(body, "html.parser")

    def _request(self, method: str, url: str, fields: Fields | None) -> httpx2.Response:
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
        if method == "POST":
            parts = urlsplit(self.url)
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        return self._http.request(method, url, data=fields, headers=headers)


def _filled_in(form: Tag) -> Fields:
    """Return what a browser would send if nothing were touched."""
    fields: Fields = {}
    for each in form.select("input[name]"):
        kind = each.get("type", "text")
        if kind in ("submit", "button", "image") or (kind in ("checkbox", "radio") and not each.has_attr("checked")):
            continue
        value = str(each.get("value", "on" if kind == "checkbox" else ""))
        fields.setdefault(str(each["name"]), []).append(value)
    return fields


def _target(response: httpx2.Response) -> str | None:
    """Return where the answer sends the browser: by redirect, or by a page that goes on by itself."""
    if response.is_redirect:
        return str(response.headers["Location"])
    _, separator, url = str(response.headers.get("Refresh", "")).partition("url=")
    return url if separator else None
