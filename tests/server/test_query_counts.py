"""What each step costs the database: statements with BEGIN, COMMIT and savepoints, counted in real transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth.server.clients import add_secret
from tests.four_steps import App, approve, bearer

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def statements(most: int, *, least: int = 0) -> Iterator[None]:
    """Fail unless the database is sent between ``least`` and ``most`` statements; BEGIN and COMMIT count."""
    with CaptureQueriesContext(connection) as captured:
        yield
    listed = "\n".join(query["sql"] for query in captured)
    assert least <= len(captured) <= most, f"{len(captured)} statements:\n{listed}"


@pytest.mark.parametrize("secrets", [1, 3])
def test_code_exchange_takes_at_most_seven_statements(app: App, code: str, secrets: int) -> None:
    for _ in range(secrets - 1):
        add_secret(app.client, now=timezone.now())
    with statements(7, least=7):
        assert app.redeem(code).status_code == 200


def test_code_exchange_of_a_public_client_takes_at_most_seven(public_app: App, signed_in: Browser) -> None:
    code = approve(signed_in, public_app.link())["code"]
    with statements(7):
        assert public_app.redeem(code).status_code == 200


def test_refresh_takes_at_most_seven_statements(app: App, tokens: dict[str, Any]) -> None:
    with statements(6, least=6):
        assert app.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("path", ["/api/read", "/api/async"])
@pytest.mark.parametrize("elapsed", ["first", "later"])
def test_bearer_check_takes_one_statement(tokens: dict[str, Any], path: str, elapsed: str) -> None:
    if elapsed == "later":
        Browser().get(path, headers=bearer(tokens["access_token"]))
    with statements(1, least=1):
        assert Browser().get(path, headers=bearer(tokens["access_token"])).status_code == 200


@pytest.mark.parametrize("header", ["Bearer pkce_at_unknown", "Bearer ", "Basic x", ""])
def test_bearer_check_of_a_bad_token_takes_one_at_most(db: None, header: str) -> None:
    with statements(1):
        assert Browser().get("/api/read", headers={"Authorization": header}).status_code in (400, 401)


def test_revoking_costs_the_same_whatever_the_family_holds(app: App, code: str, tokens: dict[str, Any]) -> None:
    given = tokens
    for _ in range(30):
        given = app.refresh(given["refresh_token"]).json()
    with statements(6):
        assert app.redeem(code).status_code == 400


def test_prompt_and_approval_take_few_statements(app: App, signed_in: Browser) -> None:
    with statements(4, least=4):  # session, user, client, how many trust it
        assert signed_in.get(app.link()).status_code == 200
    with statements(7, least=7):
        approve(signed_in, app.link())
    with statements(7, least=7):  # the consent stands already, and is held until the code is there
        approve(signed_in, app.link())
