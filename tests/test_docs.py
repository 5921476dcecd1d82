"""Every snippet of docs/ is run, page by page, and the reference is what the code says."""

from __future__ import annotations

import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.template import engines
from django.test import RequestFactory, override_settings

from docs import generate

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))


def _blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def _run_console(text: str) -> None:
    for line in text.splitlines():
        words = shlex.split(line)
        assert words[:2] == ["python", "manage.py"], f"what kind of command is {line}?"
        call_command(*words[2:], stdout=StringIO())


def _render(text: str) -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert engines["django"].from_string(text).render({}, request).strip()


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_snippets_of_a_page_run_in_their_order(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPORT_JOB_SECRET", "0123456789abcdef0123456789abcdef")
    names: dict[str, Any] = {"__name__": page}
    with override_settings(PKCE_AUTH=settings.PKCE_AUTH):
        for language, text in _blocks(page):
            if language == "console":
                _run_console(text)
            elif language == "django":
                _render(text)
            else:
                assert language == "python", f"{page} has a block in {language}, which nothing runs"
                exec(compile(text, page, "exec"), names)  # noqa: S102  (our own pages)
            if "PKCE_AUTH" in names:
                settings.PKCE_AUTH = names.pop("PKCE_AUTH")


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
