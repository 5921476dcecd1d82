"""Every snippet of docs/ is run, page by page, and the reference is what the code says."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.template import engines
from django.test import RequestFactory, override_settings
from django.urls import resolve
from django.utils import timezone

from django_pkce_auth.client.errors import LoginRefused
from django_pkce_auth.client.policy import Account
from django_pkce_auth.server.models import Client, ClientSecret
from docs import generate
from tests.four_steps import App

PROVISIONED = "0123456789abcdef0123456789abcdef"
DOCS = Path(__file__).resolve().parent.parent / "docs"
PARTNERS = DOCS.parent / "tests" / "partners" / "models.py"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))


def _blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def _run_console(text: str) -> list[str]:
    """Run the commands, and return what each printed."""
    printed = []
    for line in text.splitlines():
        words = shlex.split(line)
        assert words[:2] == ["python", "manage.py"], f"what kind of command is {line}?"
        out = StringIO()
        call_command(*[_fingerprint(words) if word == "FINGERPRINT" else word for word in words[2:]], stdout=out)
        printed.append(out.getvalue())
    return printed


def _fingerprint(words: list[str]) -> str:
    """What a reader would fill in: the oldest secret of the client that the command names."""
    oldest = ClientSecret.objects.filter(client__client_id=words[4]).earliest("created_at", "pk")
    return oldest.fingerprint


def _render(text: str) -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert engines["django"].from_string(text).render({}, request).strip()


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_snippets_of_a_page_run_in_their_order(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPORT_JOB_SECRET", PROVISIONED)
    printed: list[str] = []
    names: dict[str, Any] = {"__name__": page}
    with override_settings(PKCE_AUTH=settings.PKCE_AUTH):
        for language, text in _blocks(page):
            if language == "console":
                printed += _run_console(text)
            elif language == "django":
                _render(text)
            elif text == PARTNERS.read_text():
                continue  # a model needs an app: tests/test_migrations.py has one
            else:
                assert language == "python", f"{page} has a block in {language}, which nothing runs"
                exec(compile(text, page, "exec", dont_inherit=True), names)  # noqa: S102  (our own pages)
            if "PKCE_AUTH" in names:
                settings.PKCE_AUTH = names.pop("PKCE_AUTH")
    if page == "extend.md":
        _ask_the_policies(names["OurServerPolicy"](), names["OurClientPolicy"]())
        _let_in_by_email(names["UsersByEmail"]())
    if page == "server.md":
        _look_at_the_clients("\n".join(printed))
        _ask_for_a_second_factor(names["SecondFactorMiddleware"](lambda request: None))


def _ask_the_policies(server: Any, client: Any) -> None:
    sent = {"HTTP_X_FORWARDED_FOR": "10.9.8.7, 192.0.2.1", "REMOTE_ADDR": "127.0.0.1"}
    assert server.address(RequestFactory().get("/", **sent)) == "192.0.2.1"
    assert server.address(RequestFactory().get("/", REMOTE_ADDR="127.0.0.1")) == "127.0.0.1"
    user = client.create_user(SimpleNamespace(slug="acme"), Account(subject="1", label="Alice A."))
    user.refresh_from_db()
    assert (user.first_name, user.has_usable_password()) == ("Alice A.", False)
    assert client.transport().deadline == 10


def _let_in_by_email(policy: Any) -> None:
    provider = SimpleNamespace(slug="acme")

    def come(email: str, **more: Any) -> Any:
        return policy.create_user(provider, policy.account(provider, {"sub": "1", "email": email, **more}))

    user = come("alice@example.com", email_verified=True)
    assert (user.get_username(), user.has_usable_password()) == ("alice@example.com", False)
    with pytest.raises(LoginRefused, match="Somebody here"):
        come("Alice@example.com", email_verified=True)
    for refused in ({"email": "bob@example.com"}, {"email": "bob@example.net", "email_verified": True}):
        with pytest.raises(LoginRefused, match="Only people"):
            come(**refused)


def _ask_for_a_second_factor(middleware: Any) -> None:
    for path, verified, stays in (("/oauth/authorize", False, False), ("/oauth/apps", True, True), ("/", False, True)):
        request = RequestFactory().get(path)
        request.user = SimpleNamespace(is_verified=lambda: verified, is_authenticated=True)  # noqa: B023
        request.resolver_match = resolve("/oauth/apps" if path != "/" else "/admin/")
        assert middleware.process_view(request, None, (), {}) is None
        assert request.user.is_authenticated is stays


def _look_at_the_clients(printed: str) -> None:
    """The commands of that page did what it says of them."""
    clients = {client.client_id: client for client in Client.objects.all()}
    assert {name for name, client in clients.items() if client.disabled_at} == {"phone-app"}
    first, second = clients["photo-app"].secrets.order_by("created_at", "pk")
    assert first.expires_at - timezone.now() == pytest.approx(timedelta(hours=24), abs=timedelta(minutes=5))
    assert second.expires_at is None
    assert [row.uri for row in clients["photo-app"].redirect_uris.all()] == ["https://app.example/callback"]
    assert clients["web-app"].web_origins == "https://web.example http://localhost:3000"
    assert App(clients["tv"], None).post("/oauth/device_authorization", scope="read").status_code == 200
    # The machines get their tokens: the one of the file, and the one whose tokens other projects can check.
    own = {"grant_type": "client_credentials", "scope": "read"}
    assert App(clients["report-job"], PROVISIONED).post(**own).status_code == 200
    shown = re.findall(r"^client_id +signed-report$.*?^client_secret +(\S+)$", printed, re.DOTALL | re.MULTILINE)
    answer = App(clients["signed-report"], shown[0]).post(**own)
    assert answer.status_code == 200, answer.content
    assert answer.json()["access_token"].count(".") == 2


def test_reference_is_what_the_code_says() -> None:
    assert generate.TARGET.read_text() == generate.reference(), "run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), target


def test_each_row_about_hostile_providers_names_a_test_that_exists() -> None:
    tests = DOCS.parent / "tests"
    defined = {
        name
        for file in tests.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    lines = (DOCS / "hostile-providers.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.endswith("| Test |")]
    named = [re.findall(r"`(test_\w+)` \|$", row) for row in rows]
    assert len(rows) > 20
    assert [row for row, names in zip(rows, named, strict=True) if not set(names) & defined] == []
