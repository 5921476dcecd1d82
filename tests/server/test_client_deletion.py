"""A client that a project's own rows hang on, deleted in the admin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import django_pkce_auth

PROJECT = """
from django.conf import settings
from tests import settings as ours

given = {name: value for name, value in vars(ours).items() if name.isupper()}
settings.configure(**given | {"INSTALLED_APPS": [*ours.INSTALLED_APPS, "tests.partners"]})

import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, models
from django.test import Client as Browser
from django.test.utils import setup_test_environment
from django_pkce_auth.server.models import Client
from tests.partners.models import Partner

class Invoice(models.Model):
    client = models.ForeignKey(Client, models.PROTECT, related_name="+")

    class Meta:
        app_label = "partners"

    def __str__(self):
        return "invoice of 2026"

setup_test_environment()
call_command("migrate", verbosity=0)
with connection.schema_editor() as editor:
    editor.create_model(Invoice)
admin.site.register(Partner)
staff = User.objects.create_user("staff", is_staff=True)
browser = Browser()
browser.force_login(staff)

def allow(*names):
    staff.user_permissions.set(Permission.objects.filter(codename__in=names))

def delete(client):
    url = f"/admin/pkce_auth/client/{client.pk}/delete/"
    page = browser.get(url).content.decode()
    return page, browser.post(url, {"post": "yes"}).status_code

partner, debtor, other = (Client.objects.create(client_id=name, name=name) for name in ("partner", "debtor", "other"))
Partner.objects.create(client=partner, contract="2026-7")
Invoice.objects.create(client=debtor)
allow("delete_client", "view_client")
page, status = delete(partner)
assert "your account doesn\\'t have permission" in page.replace("&#x27;", "\\'"), page
assert (status, Partner.objects.count()) == (403, 1)
page, status = delete(debtor)
assert "invoice of 2026" in page, page
assert (status, Client.objects.count()) == (200, 3)
assert delete(other)[1] == 302
allow("delete_client", "view_client", "delete_partner")
page, status = delete(partner)
assert "2026-7" in page, page
assert (status, Partner.objects.count(), Client.objects.get().name) == (302, 0, "debtor")
print("as Django does")
"""


def test_what_a_project_hangs_on_a_client_is_kept_and_asked_for_as_everywhere() -> None:
    """In a process of its own: a model that points to ours stays known to Django for as long as that lives."""
    roots = (Path(django_pkce_auth.__file__).parent.parent, Path(__file__).parent.parent.parent)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, roots))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT], env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("as Django does", 0), done.stderr
