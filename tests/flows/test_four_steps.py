"""The flow as a whole, one process, without a mock: link, prompt, answer, exchange, API, refresh."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup
from django.test import Client as Browser

from tests.four_steps import REDIRECT_URI, STATE, App, approve, bearer, returned


def test_flow_gives_tokens_that_open_the_api_rfc6749_4_1(app: App, signed_in: Browser) -> None:
    prompt = signed_in.get(app.link(scopes=("read", "profile")))
    assert prompt.status_code == 200
    page = BeautifulSoup(prompt.content, "html.parser")
    text = page.get_text(" ", strip=True)
    assert "Photo App" in text
    assert "app.example" in text
    assert "alice" in text
    assert "Read your data" in text
    assert "See who you are" in text
    assert "Change your data" not in text
    assert [button["value"] for button in page.select(".pkce-decision button")] == ["deny", "approve"]

    answer = signed_in.post(app.link(scopes=("read", "profile")), {"decision": "approve"})
    assert answer["Location"].startswith(REDIRECT_URI + "&code=")
    back = returned(answer)
    assert back["state"] == STATE
    assert back["iss"] == "https://testserver"

    response = app.redeem(back["code"])
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    tokens = response.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == "read profile"

    api = Browser().get("/api/read", headers=bearer(tokens["access_token"]))
    assert api.json() == {"user": "alice", "client": "photo-app"}
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert renewed["access_token"] != tokens["access_token"]
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert Browser().get("/api/read", headers=bearer(renewed["access_token"])).status_code == 200


def test_deny_goes_back_with_access_denied_and_no_code_rfc6749_4_1_2_1(app: App, signed_in: Browser) -> None:
    back = returned(signed_in.post(app.link(), {"decision": "deny"}))
    assert back["error"] == "access_denied"
    assert back["state"] == STATE
    assert back["iss"] == "https://testserver"
    assert "code" not in back


def test_anonymous_visitor_is_sent_to_the_projects_log_in_and_back(app: App, alice: Any) -> None:
    browser = Browser()
    to_login = browser.get(app.link())
    assert to_login.status_code == 302
    assert to_login["Location"].startswith("/login/?next=/oauth/authorize")
    target = parse_qs(urlsplit(to_login["Location"]).query)["next"][0]
    logged_in = browser.post(to_login["Location"], {"username": "alice", "password": "wonderland"})
    assert logged_in["Location"] == target
    assert "Photo App" in browser.get(target).content.decode()


def test_public_client_exchanges_without_a_secret(public_app: App, signed_in: Browser) -> None:
    tokens = public_app.redeem(approve(signed_in, public_app.link())["code"]).json()
    assert tokens["refresh_token"].startswith("pkce_rt_")
    assert public_app.refresh(tokens["refresh_token"]).status_code == 200
