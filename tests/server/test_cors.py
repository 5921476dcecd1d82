"""Pages of other origins may read what their client may, and nothing else (no cookies, authorize never)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client as Browser

from django_pkce_auth.server.models import Client
from django_pkce_auth.server.views import endpoint
from tests.four_steps import VERIFIER, App, approve, bearer
from tests.test_outages import database_raises, failure

ORIGIN = "https://spa.example"


@pytest.fixture
def spa(public_app: App) -> App:
    Client.objects.update(web_origins=f"{ORIGIN} https://other.example")
    return public_app


def preflight(path: str, origin: str) -> Any:
    return Browser().options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})


def send(path: str, origin: str, client_id: str) -> Any:
    body = f"client_id={client_id}&grant_type=refresh_token&refresh_token=x&token=x"
    return send_body(body, path, origin)


def send_body(body: str, path: str = "/oauth/token", origin: str = ORIGIN) -> Any:
    form = "application/x-www-form-urlencoded"
    return Browser().post(path, body, content_type=form, headers={"Origin": origin})


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/token/"])
def test_registered_origin_is_answered(path: str, spa: App) -> None:
    response = preflight(path, ORIGIN)
    assert response.status_code == 204
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "authorization" in response["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response
    answer = send(path, ORIGIN, "phone-app")
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://spa.example.evil.example", "https://spa", "http://spa.example", "null", "*"]
)
def test_other_origin_is_not_answered(origin: str, spa: App) -> None:
    assert "Access-Control-Allow-Origin" not in preflight("/oauth/token", origin)
    assert "Access-Control-Allow-Origin" not in send("/oauth/token", origin, "phone-app")


def test_origin_of_another_client_can_not_read_the_answer(spa: App, app: App) -> None:
    assert "Access-Control-Allow-Origin" not in send("/oauth/token", ORIGIN, "photo-app")


def test_disabled_client_lends_no_origin(spa: App) -> None:
    Client.objects.update(disabled_at="2026-01-01T00:00:00Z")
    assert "Access-Control-Allow-Origin" not in preflight("/oauth/token", ORIGIN)


def test_authorize_is_never_for_pages_of_other_origins(spa: App) -> None:
    assert "Access-Control-Allow-Origin" not in preflight("/oauth/authorize", ORIGIN)
    assert "Access-Control-Allow-Origin" not in Browser().get(spa.link(), headers={"Origin": ORIGIN})


@pytest.mark.parametrize(
    "origin",
    [
        "",
        " ",
        "\0",
        f"{ORIGIN}\0",
        f"{ORIGIN} ",
        f"{ORIGIN} https://other.example",
        ORIGIN.upper(),
        "%",
        "_",
        "é",
        "x" * 9999,
        f"{ORIGIN}/",
        f"{ORIGIN}:443",
        "https://",
        "//spa.example",
        "spa.example",
        "file://",
        "\udc80",
    ],
)
def test_origin_that_is_none_or_nearly_ours_is_no_server_error(origin: str, spa: App) -> None:
    for response in (preflight("/oauth/token", origin), send("/oauth/token", origin, "phone-app")):
        assert response.status_code in (204, 400)
        assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("listed", ["null", "*", "null *"])
def test_origin_null_and_star_are_not_to_be_registered(spa: App, listed: str) -> None:
    """Every sandboxed page is of origin null."""
    Client.objects.update(web_origins=listed)
    for origin in ("null", "*", ORIGIN):
        assert "Access-Control-Allow-Origin" not in preflight("/oauth/token", origin)
        assert "Access-Control-Allow-Origin" not in send("/oauth/token", origin, "phone-app")


def test_page_can_go_through_the_whole_exchange(spa: App, signed_in: Browser) -> None:
    form = {"grant_type": "authorization_code", "code": approve(signed_in, spa.link())["code"]}
    response = Browser().post(
        "/oauth/token",
        urlencode(form | {"client_id": "phone-app", "code_verifier": VERIFIER}),
        content_type="application/x-www-form-urlencoded",
        headers={"Origin": ORIGIN},
    )
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("times", [1, 3], ids=["gives way once", "gives way for ever"])
def test_code_is_not_redeemed_before_all_is_read_that_its_answer_needs(
    times: int, spa: App, signed_in: Browser
) -> None:
    """What is run again then, or sent again by the client, would be a replay: it ended what had just been given."""
    form = {"grant_type": "authorization_code", "code": approve(signed_in, spa.link())["code"]}
    body = urlencode(form | {"client_id": "phone-app", "code_verifier": VERIFIER})
    table, column = (connection.ops.quote_name(name) for name in (Client._meta.db_table, "web_origins"))
    error = failure("could not serialize access", sqlstate="40001")
    with database_raises(error, times=times, only=f"SELECT {table}.{column} AS") as failed:
        answers = [send_body(body) for _ in range(2 if times == 3 else 1)]
    assert len(failed) == times
    assert [answer.status_code for answer in answers] == [503, 200][-len(answers) :]
    assert answers[-1]["Access-Control-Allow-Origin"] == ORIGIN
    assert Browser().get("/api/read", headers=bearer(answers[-1].json()["access_token"])).status_code == 200


def test_brake_is_readable_for_the_page_that_it_stops(spa: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FAILURES", 0)
    body = "client_id=phone-app&client_secret=x&grant_type=refresh_token&refresh_token=x"
    form = "application/x-www-form-urlencoded"
    response = Browser().post("/oauth/token", body, content_type=form, headers={"Origin": ORIGIN})
    assert response.status_code == 429
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in response["Access-Control-Expose-Headers"]


def test_request_that_no_browser_sent_costs_nothing(
    spa: App, tokens: dict[str, Any], app: App, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 2):
        response = app.post("/oauth/introspect", token=tokens["access_token"])
    assert "Access-Control-Allow-Origin" not in response


def test_cookie_of_the_visitor_plays_no_part(spa: App, signed_in: Browser) -> None:
    form = "application/x-www-form-urlencoded"
    response = signed_in.post("/oauth/token", "client_id=phone-app", content_type=form, headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Credentials" not in response
    assert not response.cookies


@pytest.mark.parametrize("path", ["/oauth/apps", "/oauth/device", "/oauth/authorize", "/oauth/device/qr.svg"])
def test_pages_for_people_are_for_no_other_origin(path: str, spa: App, signed_in: Browser) -> None:
    for response in (preflight(path, ORIGIN), signed_in.get(path, headers={"Origin": ORIGIN})):
        assert "Access-Control-Allow-Origin" not in response
