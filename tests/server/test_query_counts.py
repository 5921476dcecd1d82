"""What each step costs the database: statements in real transactions, without their BEGIN and COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.secrets import digest
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import AccessToken, TokenFamily
from tests.databases import is_mysql
from tests.four_steps import App, approve, bearer

pytestmark = pytest.mark.django_db(transaction=True)
BRACKETS = ("BEGIN", "COMMIT", "START TRANSACTION")


def on_postgresql(fewer: int, elsewhere: int) -> int:
    """There, what is written or read together is one statement."""
    return fewer if connection.vendor == "postgresql" else elsewhere


@contextmanager
def statements(number: int, *, fewer: bool = False) -> Iterator[None]:
    """Fail unless the database is sent just this many statements, or at most so many where ``fewer`` will do."""
    with CaptureQueriesContext(connection) as captured:
        yield
    sent = [query["sql"] for query in captured if query["sql"].upper() not in BRACKETS]
    assert len(sent) == number or (fewer and len(sent) < number), f"{len(sent)} statements:\n" + "\n".join(sent)


@pytest.mark.parametrize("secrets", [1, 3])
def test_code_exchange_takes_five_statements_or_two(app: App, code: str, secrets: int) -> None:
    for _ in range(secrets - 1):
        add_secret(app.client, now=timezone.now())
    with statements(on_postgresql(2, 5)):
        assert app.redeem(code).status_code == 200


def test_code_exchange_of_a_public_client_takes_as_many(public_app: App, signed_in: Browser) -> None:
    code = approve(signed_in, public_app.link())["code"]
    with statements(on_postgresql(2, 5)):
        assert public_app.redeem(code).status_code == 200


def test_device_takes_two_statements_to_wait_and_six_or_three_to_get_its_tokens(
    register: Callable[..., App], signed_in: Browser
) -> None:
    app = register(grant_types=f"refresh_token {DEVICE_CODE}")
    codes: Any = app.post("/oauth/device_authorization", scope="read").json()
    with statements(2):
        app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"])
    signed_in.post("/oauth/device", {"user_code": codes["user_code"], "decision": "approve"})
    # One more than a code: its row is held first, as devices poll while a withdrawal may have it.
    with statements(on_postgresql(3, 6)):
        assert app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"]).status_code == 200


def test_refresh_takes_four_statements_or_two(app: App, tokens: dict[str, Any]) -> None:
    with statements(on_postgresql(2, 4)):
        assert app.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("noted", [True, None], ids=["a retry", "made before retries were noted"])
def test_refresh_after_a_retry_takes_one_statement_more(app: App, tokens: dict[str, Any], noted: bool | None) -> None:
    if noted:
        app.refresh(tokens["refresh_token"])
        tokens = app.refresh(tokens["refresh_token"]).json()
    else:
        TokenFamily.objects.update(has_siblings=None)
    # Siblings take turns at their family's row. MySQL, unlike MariaDB, can't look into a table that it updates.
    with statements(on_postgresql(3, 6 if is_mysql() else 5)):
        assert app.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("path", ["/api/read", "/api/async"])
@pytest.mark.parametrize("elapsed", ["first", "later"])
def test_bearer_check_takes_one_statement(tokens: dict[str, Any], path: str, elapsed: str) -> None:
    if elapsed == "later":
        Browser().get(path, headers=bearer(tokens["access_token"]))
    with statements(1):
        assert Browser().get(path, headers=bearer(tokens["access_token"])).status_code == 200


@pytest.mark.parametrize("header", ["Bearer pkce_at_unknown", "Bearer ", "Basic x", ""])
def test_bearer_check_of_a_bad_token_takes_one_at_most(db: None, header: str) -> None:
    with statements(1, fewer=True):
        assert Browser().get("/api/read", headers={"Authorization": header}).status_code in (400, 401)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_introspection_takes_two_statements_or_one(app: App, tokens: dict[str, Any], kind: str) -> None:
    with statements(on_postgresql(1, 2)):
        assert app.post("/oauth/introspect", token=tokens[kind]).json()["active"]


@pytest.mark.parametrize("held", [2, 2000])
def test_revoking_costs_the_same_whatever_the_family_holds(
    app: App, code: str, tokens: dict[str, Any], held: int
) -> None:
    family, now = TokenFamily.objects.get(), timezone.now()
    rows = [
        AccessToken(digest=digest(str(number)), family=family, created_at=now, expires_at=now)
        for number in range(held - 1)
    ]
    AccessToken.objects.bulk_create(rows)
    with statements(3):  # the code, its family, one UPDATE
        assert app.redeem(code).status_code == 400
    with statements(on_postgresql(1, 2)):  # the client, the token: what is revoked needs no UPDATE
        assert not app.post("/oauth/introspect", token=tokens["access_token"]).json()["active"]


def test_prompt_and_approval_take_few_statements(app: App, signed_in: Browser) -> None:
    with statements(4):  # session, user, client, how many trust it
        assert signed_in.get(app.link()).status_code == 200
    with statements(on_postgresql(4, 5)):
        approve(signed_in, app.link())
    with statements(on_postgresql(4, 5)):  # the consent stands already, and is held until the code is there
        approve(signed_in, app.link())
