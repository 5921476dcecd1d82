"""The plugin that watches for secrets (``tox run -e secrets``) finds what is planted, in each place and form."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from django_pkce_auth.secrets import ACCESS_TOKEN, generate
from tests.secrets_watch import forms

PLACES = {
    "log": "logging.getLogger('django_pkce_auth').debug('made', extra={'what': raw})",
    "log of Django": "logging.getLogger('django.db').info('%s', raw)",
    "table": "get_user_model().objects.create(username='x', email=raw)",
    "hexadecimal in a table": "get_user_model().objects.create(username='x', email=raw.encode().hex())",
    "session": "store = SessionStore(); store['kept'] = [raw]; store.save()",
    "cache": "cache.set('key', {'kept': raw})",
    "statement": "get_user_model().objects.filter(username=raw).exists()",
}
PROGRAM = """
import logging
import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django_pkce_auth import encryption, secrets
raw = ""
@pytest.mark.django_db
def test_clean():
    get_user_model().objects.create(username="x", password=secrets.digest(secrets.generate()).hex())
    encryption.encrypt(secrets.generate())
"""
PLANT = "@pytest.mark.django_db\ndef test_{number}():\n    raw = secrets.{make}\n    {plant}\n"


def test_each_place_where_a_secret_is_planted_fails_its_test(tmp_path: Path) -> None:
    makes = ["generate('pkce_at_')", "generate()"]
    planted = [
        PLANT.format(number=number, make=makes[number % 2], plant=plant) for number, plant in enumerate(PLACES.values())
    ]
    (tmp_path / "test_planted.py").write_text(PROGRAM + "".join(planted))
    root = Path(__file__).parent.parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.secrets_watch",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--ds=tests.settings", f"--rootdir={tmp_path}", "-c", os.devnull, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    # Where CI is set the line goes on with the reason.
    errors = [line.partition("::")[2] for line in done.stdout.splitlines() if line.startswith("ERROR ")]
    failed = {line.partition(" - ")[0] for line in errors}
    assert failed == {f"test_{number}" for number in range(len(PLACES))}, done.stdout + done.stderr
    assert f"{1 + len(PLACES)} passed, {len(PLACES)} errors" in done.stdout


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"photo-app:"])
@pytest.mark.parametrize("prefix", ["", ACCESS_TOKEN])
def test_secret_is_found_in_base64_whatever_stands_around_it(before: bytes, prefix: str) -> None:
    raw = generate(prefix)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for after in (b"", b"x", b"xy"):
            text = encode(before + raw.encode() + after).decode()
            assert any(form in text for form in forms(raw))


def test_the_random_bytes_themselves_are_found() -> None:
    raw = generate(ACCESS_TOKEN)
    value = base64.urlsafe_b64decode(raw.removeprefix(ACCESS_TOKEN) + "=")
    assert {value.hex(), value.decode("latin-1")} <= set(forms(raw))
