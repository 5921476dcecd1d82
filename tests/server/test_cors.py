"""Pages of other origins may read what their client may, and nothing else (no cookies, authorize never)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth.server.models import Client
from tests.four_steps import App

ORIGIN = "https://spa.example"


@pytest.fixture
def spa(public_app: App) -> App:
    Client.objects.update(web_origins=f"{ORIGIN} https://other.example")
    return public_app


def preflight(path: str, origin: str) -> Any:
    return Browser().options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})


def send(path: str, origin: str, client_id: str) -> Any:
    body = f"client_id={client_id}&grant_type=refresh_token&refresh_token=x&token=x"
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
