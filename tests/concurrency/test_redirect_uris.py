"""Commands that change one client's redirect URIs at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

from django.core.management import call_command

from tests.concurrency.race import at_once
from tests.four_steps import REDIRECT_URI, App

DEPLOYMENTS = 6


def _command(action: str, uri: str) -> Callable[[], None]:
    return lambda: call_command("pkce_client", action, "photo-app", uri, stdout=StringIO())


def _preview(number: int) -> str:
    return f"https://pr-{number}.preview.example/callback"


def test_deployments_that_come_and_go_at_once_leave_each_other_alone(app: App) -> None:
    going = [_preview(number) for number in range(100, 100 + DEPLOYMENTS)]
    for uri in going:
        _command("add-redirect-uri", uri)()
    coming = [_preview(number) for number in range(DEPLOYMENTS)]
    at_once(
        *[_command("add-redirect-uri", uri) for uri in coming],
        *[_command("remove-redirect-uri", uri) for uri in going],
    )
    assert {row.uri for row in app.client.redirect_uris.all()} == {REDIRECT_URI, *coming}


def test_one_redirect_uri_that_is_added_by_many_is_registered_once(app: App) -> None:
    at_once(*[_command("add-redirect-uri", _preview(1))] * DEPLOYMENTS)
    assert sorted(row.uri for row in app.client.redirect_uris.all()) == sorted([REDIRECT_URI, _preview(1)])
