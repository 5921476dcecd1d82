"""A client that is deleted in the admin while it goes on asking for tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client as Browser

from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from tests.four_steps import App
from tests.test_outages import database_raises, failure

ADMIN = "/admin/pkce_auth/client"


@pytest.fixture
def busy(register: Callable[..., App]) -> App:
    app = register(client_id="busy", grant_types="client_credentials")
    assert app.post(grant_type="client_credentials", scope="read").status_code == 200
    return app


@contextmanager
def asked_meanwhile(app: App) -> Iterator[list[int]]:
    """Let the client ask for a token when the first of its rows is to be deleted; yields the status of the answer."""
    answers: list[int] = []

    def ask() -> int:
        try:
            return app.post(grant_type="client_credentials", scope="read").status_code
        finally:
            connections.close_all()

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("DELETE") and not answers:
            answers.append(0)
            with ThreadPoolExecutor(1) as pool:
                answers[0] = pool.submit(ask).result(timeout=30)
        return execute(sql, *rest)

    with connection.execute_wrapper(wrapper):
        yield answers


def delete(admin_client: Browser, client: Client, *, by: str) -> Any:
    if by == "page":
        return admin_client.post(f"{ADMIN}/{client.pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [client.pk], "post": "yes"}
    return admin_client.post(f"{ADMIN}/", chosen)


@pytest.mark.parametrize("by", ["page", "list"])
def test_client_that_goes_on_asking_is_deleted_with_what_it_got(by: str, busy: App, admin_client: Browser) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one writer at a time: it asks before, or after")
    with asked_meanwhile(busy) as answers:
        assert delete(admin_client, busy.client, by=by).status_code == 302
    assert answers == [200]
    for model in (Client, TokenFamily, AccessToken):
        assert not model.objects.exists()


@pytest.mark.parametrize("by", ["page", "list"])
def test_deletion_that_gave_way_is_run_again(by: str, busy: App, admin_client: Browser) -> None:
    with database_raises(failure(1213, "Deadlock found"), times=1, only="DELETE") as failed:
        assert delete(admin_client, busy.client, by=by).status_code == 302
    assert len(failed) == 1
    assert not Client.objects.exists()
