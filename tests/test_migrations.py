"""The migrations make the schema that the models say, forward and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from django_pkce_auth import models


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("pkce_auth_")}


@pytest.mark.django_db
def test_migrations_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("makemigrations", "pkce_auth", check=True, dry_run=True)


@pytest.mark.django_db(transaction=True)
def test_migrations_go_to_zero_and_back() -> None:
    before = tables()
    assert {getattr(models, name)._meta.db_table for name in models.__all__} <= before
    try:
        call_command("migrate", "pkce_auth", "zero", verbosity=0)
        assert tables() == set()
    finally:
        call_command("migrate", "pkce_auth", verbosity=0)
    assert tables() == before
    assert not models.Client.objects.exists()


SECOND_APP = """
import sys
from django.conf import settings
from tests import settings as ours

order = sys.argv[1:]
places = {"pkce_auth": "django_pkce_auth", "partners": "tests.partners"}
others = [name for name in ours.INSTALLED_APPS if name != "django_pkce_auth"]
given = {name: value for name, value in vars(ours).items() if name.isupper()}
settings.configure(**given | {"INSTALLED_APPS": [*others, *[places[label] for label in order]]})

import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django_pkce_auth.server.models import Client
from tests.partners.models import Partner

def tables():
    return {name for name in connection.introspection.table_names() if name.startswith(("pkce_auth_", "partners_"))}

call_command("makemigrations", check=True, dry_run=True, verbosity=0)
for turn in (order, order[::-1]):
    for label in turn:
        call_command("migrate", label, verbosity=0)
    assert {"pkce_auth_client", "partners_partner"} <= tables(), tables()
    client = Client.objects.create(client_id="photo-app", name="Photo App")
    Partner.objects.create(client=client, contract="2026-7")
    assert Client.objects.get().partner.contract == "2026-7"
    client.delete()
    assert not Partner.objects.exists()
    Partner.objects.create(client=Client.objects.create(client_id="photo-app", name="Photo App"))
    for label in turn:
        call_command("migrate", label, "zero", verbosity=0)
    assert tables() == set(), tables()
print("there and back")
"""


@pytest.mark.parametrize("order", [("pkce_auth", "partners"), ("partners", "pkce_auth")])
def test_app_that_extends_ours_migrates_there_and_back_in_either_order(order: tuple[str, str]) -> None:
    """In a process of its own: a model that points to ours stays known to Django for as long as that lives."""
    root = Path(models.__file__).parent.parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parent.parent)])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SECOND_APP, *order], env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("there and back", 0), done.stderr
