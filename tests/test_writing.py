"""What is written together is all there or not at all: as one statement on PostgreSQL, and one by one elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth import writing
from django_pkce_auth.compiled import Insert, Update
from django_pkce_auth.server.models import AccessToken, Client, Consent, RefreshToken, TokenFamily
from django_pkce_auth.statement import Slot, together
from django_pkce_auth.writing import KEY, write
from tests.four_steps import App

FAMILY, ACCESS_TOKEN, REFRESH_TOKEN = Insert(TokenFamily), Insert(AccessToken), Insert(RefreshToken)
RETRY = Update(
    lambda: RefreshToken.objects.filter(digest=Slot(RefreshToken, "digest"), retries__lt=2), retries=F("retries") + 1
)
ADOPT = Update(
    lambda: RefreshToken.objects.filter(digest=Slot(RefreshToken, "digest"), superseded_at=None),
    family=Slot(RefreshToken, "family"),
)

GIVE = Insert(Consent, unless_there=True)


@pytest.fixture
def held(app: App, tokens: dict[str, Any]) -> RefreshToken:
    return RefreshToken.objects.select_related("family").get()


def family_of(held: RefreshToken, **columns: Any) -> Any:
    return FAMILY, {"client_id": held.family.client_id, "created_at": held.created_at, "scope": "read", **columns}


def consent(held: RefreshToken, scope: str) -> Any:
    owner = {"client_id": held.family.client_id, "user_id": held.family.user_id}
    return GIVE, {**owner, "scope": scope, "created_at": held.created_at, "updated_at": held.created_at}


def access_token(held: RefreshToken, digest: bytes, family: Any = KEY) -> Any:
    ends = held.created_at + timedelta(hours=1)
    return ACCESS_TOKEN, {"digest": digest, "family_id": family, "created_at": held.created_at, "expires_at": ends}


def test_steps_are_one_statement_where_the_database_takes_it(held: RefreshToken) -> None:
    steps = [
        family_of(held),
        (ADOPT, {"digest": held.digest, "family": KEY}),
        access_token(held, b"1" * 32),
        access_token(held, b"2" * 32),
    ]
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        written, key = write("default", *steps)
    assert len([query for query in captured if "SAVEPOINT" not in query["sql"]]) == (
        1 if connection.vendor == "postgresql" else 4
    )
    made = TokenFamily.objects.exclude(pk=held.family_id).get()
    assert (written, key) == (True, made.pk)
    assert (made.client_id, made.created_at, made.scope) == (held.family.client_id, held.created_at, "read")
    assert (made.resource, made.user_id) == (None, None)
    held.refresh_from_db()
    assert held.family == made
    for digest in (b"1" * 32, b"2" * 32):
        token = AccessToken.objects.get(pk=digest)
        assert (token.family, token.created_at) == (made, held.created_at)
        assert token.expires_at == held.created_at + timedelta(hours=1)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_update_that_finds_no_row_undoes_the_rest_and_no_more(held: RefreshToken, place: int) -> None:
    steps = [access_token(held, b"1" * 32, held.family_id), access_token(held, b"2" * 32, held.family_id)]
    steps.insert(place, (RETRY, {"digest": b"?" * 32}))
    with transaction.atomic():
        Client.objects.update(name="Before")
        with transaction.atomic():
            assert write("default", *steps) == (False, None)
        Client.objects.update(policy_uri="https://after.example/")
    assert not AccessToken.objects.filter(digest__in=[b"1" * 32, b"2" * 32]).exists()
    assert Client.objects.filter(name="Before", policy_uri="https://after.example/").exists()


def test_each_of_several_updates_must_find_its_row(held: RefreshToken) -> None:
    found, missed = (RETRY, {"digest": held.digest}), (ADOPT, {"digest": b"?" * 32, "family": held.family_id})
    for steps in ((found, missed), (missed, found)):
        with transaction.atomic():
            assert write("default", *steps) == (False, None)
        held.refresh_from_db()
        assert held.retries == 0


def test_row_that_is_inserted_unless_it_is_there_goes_with_the_rest(held: RefreshToken) -> None:
    Consent.objects.all().delete()
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert write("default", consent(held, "write"), access_token(held, b"1" * 32, held.family_id)) == (True, None)
    assert len([query for query in captured if "SAVEPOINT" not in query["sql"]]) == (
        1 if connection.vendor == "postgresql" else 2
    )
    assert Consent.objects.get().scope == "write"
    assert AccessToken.objects.filter(digest=b"1" * 32).exists()


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("also", ["insert", "update", "insert with a key"])
def test_row_that_is_there_undoes_the_rest(held: RefreshToken, also: str, place: int) -> None:
    step = {
        "insert": access_token(held, b"1" * 32, held.family_id),
        "update": (RETRY, {"digest": held.digest}),
        "insert with a key": family_of(held),
    }[also]
    steps = [step]
    steps.insert(place, consent(held, "write"))
    with transaction.atomic():
        assert write("default", *steps) == (False, None)
    held.refresh_from_db()
    assert held.retries == 0
    assert AccessToken.objects.count() == TokenFamily.objects.count() == 1
    assert Consent.objects.get().scope == "read"


def test_row_that_is_not_there_waits_for_an_update_as_well(held: RefreshToken) -> None:
    Consent.objects.all().delete()
    with transaction.atomic():
        assert write("default", consent(held, "write"), (RETRY, {"digest": b"?" * 32})) == (False, None)
    assert not Consent.objects.exists()
    with transaction.atomic():
        assert write("default", consent(held, "write"), (RETRY, {"digest": held.digest})) == (True, None)
    held.refresh_from_db()
    assert (held.retries, Consent.objects.get().scope) == (1, "write")


def test_update_computes_from_what_is_there(held: RefreshToken) -> None:
    for number in (1, 2):
        with transaction.atomic():
            written, key = write("default", (RETRY, {"digest": held.digest}), family_of(held))
        assert written
        assert TokenFamily.objects.filter(pk=key).exists()
        held.refresh_from_db()
        assert held.retries == number
    with transaction.atomic():
        assert write("default", (RETRY, {"digest": held.digest}), family_of(held)) == (False, None)
    assert TokenFamily.objects.count() == 3


def test_column_that_is_left_out_once_is_another_statement(held: RefreshToken) -> None:
    for number, resource in enumerate(["https://a.example", None, "https://b.example"]):
        with transaction.atomic():
            written, key = write(
                "default", family_of(held, resource=resource), access_token(held, bytes([number]) * 32)
            )
        assert written
        assert TokenFamily.objects.get(pk=key).resource == resource
        assert AccessToken.objects.get(pk=bytes([number]) * 32).family_id == key


def test_single_step_is_run_as_it_is(held: RefreshToken) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert write("default", access_token(held, b"1" * 32, held.family_id)) == (True, None)
    (insert,) = (query["sql"] for query in captured if "SAVEPOINT" not in query["sql"])
    assert insert.startswith("INSERT")


def test_single_update_that_finds_no_row_undoes_nothing(held: RefreshToken) -> None:
    with transaction.atomic():
        Client.objects.update(name="Before")
        assert write("default", (RETRY, {"digest": b"?" * 32})) == (False, None)
    assert Client.objects.get().name == "Before"


def test_error_is_the_database_s_and_leaves_nothing(held: RefreshToken) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        write("default", family_of(held), access_token(held, b"1" * 32), access_token(held, b"1" * 32))
    assert TokenFamily.objects.count() == AccessToken.objects.count() == 1


def test_nothing_is_kept_of_a_value(held: RefreshToken) -> None:
    with transaction.atomic():
        write("default", family_of(held, scope="a-scope-of-its-own"), access_token(held, b"of-its-own" + b"." * 22))
    assert "of-its-own" not in repr(writing._compiled)


def test_moment_is_stored_to_the_microsecond(held: RefreshToken) -> None:
    now = timezone.now().replace(microsecond=123456)
    with transaction.atomic():
        written, key = write("default", family_of(held, created_at=now), access_token(held, b"1" * 32))
    assert written
    assert TokenFamily.objects.get(pk=key).created_at == now


def test_of_two_keys_the_first_is_answered(held: RefreshToken) -> None:
    """No database takes these as one statement."""
    with transaction.atomic():
        written, key = write("default", family_of(held, scope="first"), family_of(held, scope="second"))
    assert written
    assert TokenFamily.objects.get(pk=key).scope == "first"
    assert TokenFamily.objects.filter(scope="second").exists()


def test_block_around_it_is_undone(held: RefreshToken) -> None:
    with together("default"):
        written, _ = write("default", access_token(held, b"1" * 32, held.family_id), (RETRY, {"digest": b"?" * 32}))
    assert not written
    assert not AccessToken.objects.filter(digest=b"1" * 32).exists()
