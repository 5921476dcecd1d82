"""The migrations make the schema that the models say, forward and back."""

from __future__ import annotations

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
