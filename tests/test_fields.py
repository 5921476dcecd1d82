"""Columns: what the database, a fixture and a repr show."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection as database
from django.utils import timezone

from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.fields import DigestField, EncryptedTextField
from django_pkce_auth.secrets import digest

CLEAR, REFRESH, VERIFIER = "clear-access-token", "clear-refresh-token", "clear-code-verifier"


@pytest.fixture
def connection(alice: Any) -> Connection:
    return Connection.objects.create(
        user=alice, provider="acme", account_digest=digest("a"), raw_access_token=CLEAR, raw_refresh_token=REFRESH
    )


@pytest.fixture
def attempt(alice: Any) -> ConnectAttempt:
    now = timezone.now()
    return ConnectAttempt.objects.create(
        state_digest=digest("state"),
        browser_digest=digest("browser"),
        user=alice,
        created_at=now,
        expires_at=now + timedelta(minutes=10),
        purpose="connect",
        provider="acme",
        code_verifier=VERIFIER,
        redirect_uri="https://testserver/connect/acme/callback",
    )


def raw(column: str) -> Any:
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM pkce_auth_connection")  # noqa: S608
        return cursor.fetchone()[0]


def test_encrypted_text_is_clear_in_python_and_not_in_the_database(connection: Connection) -> None:
    assert Connection.objects.get().raw_access_token == CLEAR
    assert CLEAR not in raw("access_token")


def test_update_encrypts_as_well(connection: Connection) -> None:
    Connection.objects.update(raw_access_token="another")
    assert "another" not in raw("access_token")
    assert Connection.objects.get().raw_access_token == "another"


def test_empty_text_stays_empty(connection: Connection) -> None:
    Connection.objects.update(raw_access_token="")
    assert raw("access_token") == ""
    assert Connection.objects.get().raw_access_token == ""


def test_text_that_no_key_opens_is_written_back_as_it_was(connection: Connection, settings: Any) -> None:
    before = raw("access_token")
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    Connection.objects.get().save()
    assert raw("access_token") == before


def test_text_that_looks_like_one_of_a_fixture_is_a_text_like_any_other(connection: Connection) -> None:
    Connection.objects.update(raw_access_token="encrypted:by the provider")
    assert Connection.objects.get().raw_access_token == "encrypted:by the provider"


@pytest.mark.parametrize("format", ["json", "xml", "jsonl"])
def test_fixture_holds_no_clear_token_and_can_be_loaded_again(
    format: str, connection: Connection, attempt: ConnectAttempt
) -> None:
    out = io.StringIO()
    call_command("dumpdata", "pkce_auth", format=format, stdout=out)
    dumped = out.getvalue()
    for secret in (CLEAR, REFRESH, VERIFIER):
        assert secret not in dumped
    Connection.objects.all().delete()
    ConnectAttempt.objects.all().delete()
    for loaded in serializers.deserialize(format, dumped):
        loaded.save()
    again = Connection.objects.get()
    assert (again.raw_access_token, again.raw_refresh_token) == (CLEAR, REFRESH)
    assert bytes(again.account_digest) == digest("a")
    assert CLEAR not in raw("access_token")
    assert ConnectAttempt.objects.get().code_verifier == VERIFIER


def test_fixture_keeps_null_apart_from_empty(connection: Connection, attempt: ConnectAttempt) -> None:
    ConnectAttempt.objects.update(code_verifier=None)
    dumped = json.loads(serializers.serialize("json", ConnectAttempt.objects.all()))
    assert dumped[0]["fields"]["code_verifier"] is None


def test_repr_and_str_of_the_models_show_no_secret(connection: Connection, attempt: ConnectAttempt) -> None:
    for row in (connection, attempt, Connection.objects.get(), ConnectAttempt.objects.get()):
        for text in (repr(row), str(row)):
            for secret in (CLEAR, REFRESH, VERIFIER):
                assert secret not in text


def test_digest_is_32_bytes_however_it_comes() -> None:
    field, value = DigestField(), digest("x")
    for given in (value, bytearray(value), memoryview(value), value.hex(), value.hex().upper()):
        assert field.to_python(given) == value
    assert field.to_python(None) is None


@pytest.mark.parametrize(
    "bad", ["", "zz" * 32, "ab" * 31, "ab" * 33, "é" * 64, b"", b"x" * 31, b"x" * 33, [], {}, 32, 7.5]
)
def test_digest_of_another_form_is_a_validation_error(bad: object) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        DigestField().to_python(bad)


def test_row_is_found_by_its_digest_in_bytes_or_hexadecimal(connection: Connection) -> None:
    for given in (digest("a"), digest("a").hex()):
        assert Connection.objects.get(account_digest=given).pk == connection.pk
        assert Connection.objects.get(account_digest__in=[given]).pk == connection.pk
    assert not Connection.objects.filter(account_digest=digest("b")).exists()


def test_digest_is_null_where_there_is_none(connection: Connection) -> None:
    Connection.objects.update(account_digest=None)
    assert Connection.objects.get().account_digest is None
    assert Connection._meta.get_field("account_digest").value_to_string(Connection.objects.get()) == ""


@pytest.mark.parametrize(
    ("vendor", "type_"),
    [("postgresql", "bytea"), ("mysql", "binary(32)"), ("oracle", "raw(32)"), ("sqlite", "blob")],
)
def test_digest_column_can_be_a_key_on_every_database(vendor: str, type_: str) -> None:
    class Wrapper:
        pass

    Wrapper.vendor = vendor  # type: ignore[attr-defined]
    assert DigestField().db_type(Wrapper()) == type_  # type: ignore[arg-type]


def test_fields_deconstruct_to_themselves() -> None:
    for field in (DigestField(unique=True), EncryptedTextField(null=True)):
        _, path, arguments, options = field.deconstruct()
        assert path == f"django_pkce_auth.fields.{type(field).__name__}"
        assert type(field)(*arguments, **options).deconstruct()[1:] == (path, arguments, options)
