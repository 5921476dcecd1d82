"""Swagger UI in a real browser: "Authorize" walks the code flow with PKCE, and "Execute" uses the token (pain 22)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def authorize(visitor: Visitor, scopes: tuple[str, ...]) -> Page:
    """Press "Authorize", tick the scopes, and return the window that opens."""
    page = visitor.page
    page.goto(f"{visitor.demo.server_url}/api/docs/")
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux")
    # The configured scopes are ticked already.
    for scope in {"profile", "photos"} - set(scopes):
        dialog.locator(f"label[for^='{scope}-'][for*='checkbox']").first.click()
    with page.expect_popup() as opened:
        dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
    return opened.value


def execute(visitor: Visitor, path: str) -> tuple[str, str]:
    """Try the operation, and return the status and the body that Swagger UI shows."""
    operation = visitor.page.locator(".opblock", has=visitor.page.locator(f"[data-path='{path}']"))
    operation.locator("button.opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    expect(answer).to_be_visible()
    return answer.locator(".response-col_status").inner_text().split()[0], answer.inner_text()


def test_authorize_gets_a_token_by_pkce_and_execute_uses_it(visitor: Visitor) -> None:
    posted: list[Request] = []
    visitor.context.on("request", lambda request: posted.append(request) if request.method == "POST" else None)
    popup = authorize(visitor, ("profile", "photos"))
    visitor.log_in_at_server(popup)
    query = parse_qs(urlsplit(popup.url).query)
    assert query["code_challenge_method"] == ["S256"]
    with popup.expect_event("close"):
        visitor.decide("Allow", popup)
    page = visitor.page
    expect(page.locator(".modal-ux").get_by_role("button", name="Remove authorization")).to_be_visible()
    (token_request,) = (request for request in posted if request.url.endswith("/oauth/token"))
    form = parse_qs(token_request.post_data or "")
    assert len(form["code_verifier"][0]) >= 43
    assert "client_secret" not in form
    page.locator(".modal-ux").get_by_role("button", name="Close").click()
    status, answer = execute(visitor, "/api/albums/mine")
    assert status == "200"
    assert f'"owner": "{visitor.demo.server_user.name}"' in answer


def test_operation_whose_scope_was_not_ticked_says_which_it_needs(visitor: Visitor) -> None:
    popup = authorize(visitor, ("profile",))
    visitor.log_in_at_server(popup)
    with popup.expect_event("close"):
        visitor.decide("Allow", popup)
    visitor.page.locator(".modal-ux").get_by_role("button", name="Close").click()
    status, answer = execute(visitor, "/api/albums/mine")
    assert status == "403"
    assert "insufficient_scope" in answer
    assert 'scope="profile photos"' in answer


def test_deny_is_told_in_the_dialog(visitor: Visitor) -> None:
    popup = authorize(visitor, ("profile", "photos"))
    visitor.log_in_at_server(popup)
    with popup.expect_event("close"):
        visitor.decide("Deny", popup)
    expect(visitor.page.locator(".modal-ux")).to_contain_text("The user denied the request.")


def test_without_a_token_the_answer_is_401(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.demo.server_url}/api/docs/")
    status, answer = execute(visitor, "/api/albums")
    assert status == "401"
    assert "www-authenticate" in answer
