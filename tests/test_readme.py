"""The README's guides, followed word for word in a new project."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
WALK = """
import django; django.setup()
from django.contrib.auth import get_user_model
from django.test import Client as Browser
from urllib.parse import parse_qsl, urlsplit
from tests.four_steps import VERIFIER, App
from django_pkce_auth.protocol.parameters import encode
from django_pkce_auth.server.models import Client

user = get_user_model().objects.create_user("alice")
browser = Browser(headers={"host": "example.com"}); browser.force_login(user)
app = App(Client.objects.get(name="Photo App"), SECRET)
link = app.link(redirect_uri="https://app.example/callback")
back = dict(parse_qsl(urlsplit(browser.post(link, {"decision": "approve"})["Location"]).query))
answer = app.redeem(back["code"], redirect_uri="https://app.example/callback")
assert answer.status_code == 200, answer.content
bearer = {"Authorization": "Bearer " + answer.json()["access_token"]}
assert Browser().get("/api/me", headers=bearer).json() == {"sub": str(user.pk), "app": "Photo App"}
assert Browser().get("/api/me-async", headers=bearer).json() == {"sub": str(user.pk)}
assert Browser().get("/api/me").status_code == 401
page = browser.get("/account/").content.decode()
assert 'action="/connect/acme/"' in page and "https://acme.example/oauth/authorize?response_type=code" in page, page
assert 'value="/account/"' in page

from myproject.connections import photos_of
from django_pkce_auth.client.models import Connection
Connection.objects.create(user=user, provider="acme", raw_access_token="theirs")
assert photos_of(user) == "theirs"
print("walked")
"""


def _blocks() -> list[tuple[str, str, str]]:
    """Return (file named before the block or empty, language, text) of each fenced block."""
    parts = README.read_text().split("```")
    found = []
    for before, block in zip(parts[::2], parts[1::2], strict=False):
        language, _, text = block.partition("\n")
        named = re.match(r"In `([^`]+)`", before.strip().split("\n\n")[-1])
        found.append((named[1] if named else "", language, text))
    return found


def _append(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text()}\n{text}")


def _run(*command: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "django", "startproject", "myproject", str(tmp_path)], check=True)
    return tmp_path


def _follow(project: Path) -> dict[str, str]:
    """Write each block into the file that the README names, and return the environment that the project runs in."""
    for name, language, text in _blocks():
        assert name or language == "console", f"no file is named for this block:\n{text}"
        if name:
            target = project / name
            target.parent.mkdir(exist_ok=True)
            # The first block of the URLconf stands in place of the one that startproject made; all else is added.
            replaces = not target.exists() or "urlpatterns = [" in text
            target.write_text(text if replaces else f"{target.read_text()}\n{text}")
    return os.environ | {
        "PYTHONPATH": f"{README.parent}{os.pathsep}{project}",
        "DJANGO_SETTINGS_MODULE": "myproject.settings",
        "PKCE_AUTH_KEY": "zrt9ZbTGWmAhhQ-HWcOcHKQzrIM3d2LZ6Mr0nYpYVcU=",
        "ACME_CLIENT_ID": "us",
        "ACME_CLIENT_SECRET": "theirs-for-us",
    }


def _manage(project: Path, env: dict[str, str]) -> str:
    """Run the README's commands, after Django's own, and return what the last one printed."""
    _run(sys.executable, "manage.py", "check", "--fail-level", "WARNING", cwd=project, env=env)
    commands = [line for _, language, text in _blocks() if language == "console" for line in text.splitlines()]
    managed = [line.removeprefix("python ") for line in commands if line.startswith("python manage.py")]
    assert len(managed) == 2
    return [_run(sys.executable, *shlex.split(line), cwd=project, env=env) for line in managed][-1]


def test_readme_guides_work_when_followed_word_for_word(project: Path) -> None:
    env = _follow(project)
    # What every project says when it goes into production.
    _append(project / "myproject/settings.py", "\nALLOWED_HOSTS = ['*']\nDEBUG = False\n")
    printed = _manage(project, env)
    secret = re.search(r"^client_secret\s+(\S+)", printed, re.MULTILINE)
    assert secret is not None
    walk = f"SECRET = {secret[1]!r}\n{WALK}"
    assert _run(sys.executable, "-W", "error", "-c", walk, cwd=project, env=env).strip() == "walked"


def test_readme_guides_work_on_a_newcomers_own_machine(project: Path) -> None:
    """With the issuer that the README gives for it, and the settings as startproject made them."""
    env = _follow(project)
    local = re.search(r'On your own machine write `("ISSUER": "[^"]+")`', README.read_text())
    assert local is not None
    file = project / "myproject/settings.py"
    file.write_text(file.read_text().replace('"ISSUER": "https://example.com"', local[1]))
    _manage(project, env)
    walk = """
import django; django.setup()
from django.contrib.auth import get_user_model
from django.test import Client as Browser
from tests.four_steps import App
from django_pkce_auth.server.models import Client

browser = Browser(headers={"host": "127.0.0.1:8000"})
found = browser.get("/.well-known/oauth-authorization-server").json()
assert found["token_endpoint"] == "http://127.0.0.1:8000/oauth/token", found
link = App(Client.objects.get(), None).link(redirect_uri="https://app.example/callback")
assert browser.get(link)["Location"].startswith("/admin/login/?next=/oauth/authorize")
for name, staff in (("alice", False), ("bob", True)):
    get_user_model().objects.create_user(name, password="x", is_staff=staff)
    answer = browser.post("/admin/login/", {"username": name, "password": "x", "next": link})
    assert answer.status_code == (302 if staff else 200)
assert browser.get(link).status_code == 200
assert b"/connect/acme/" in browser.get("/account/").content
print("walked")
"""
    assert _run(sys.executable, "-W", "error", "-c", walk, cwd=project, env=env).strip() == "walked"


def test_readme_lists_every_setting() -> None:
    from django_pkce_auth.conf import KEYS

    table = README.read_text().split("## Settings")[1]
    assert set(re.findall(r"`([A-Z_]{5,})`", table)) - {"PKCE_AUTH"} == set(KEYS)


def test_readme_says_why_each_dependency_is_there() -> None:
    from configparser import ConfigParser

    setup = ConfigParser()
    setup.read(README.parent / "setup.cfg")
    required = re.findall(r"^([A-Za-z0-9_-]+)", setup["options"]["install_requires"], re.MULTILINE)
    text = README.read_text()
    assert required
    for package in required:
        assert f"| `{package}` |" in text
