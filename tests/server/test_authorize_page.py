"""The prompt, and how the browser leaves it (RFC 6749 §10.12, §10.13; RFC 9700 §4.12, §4.16; RFC 9207)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.core.cache.backends.base import BaseCache
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.server.models import AuthorizationCode, Consent
from tests.four_steps import REDIRECT_URI, STATE, App, approve, returned

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def form_of(response: HttpResponse) -> tuple[str, dict[str, str]]:
    form = BeautifulSoup(response.content, "html.parser").select_one("form")
    assert form is not None
    return str(form["action"]), {str(field["name"]): str(field["value"]) for field in form.select("input[name]")}


def test_form_needs_its_csrf_token(app: App, alice: Any) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    action, fields = form_of(browser.get(app.link()))
    assert browser.post(action, {"decision": "approve"}).status_code == 403
    assert browser.post(action, {"decision": "approve", "csrfmiddlewaretoken": "x" * 64}).status_code == 403
    assert not AuthorizationCode.objects.exists()
    assert "code" in returned(browser.post(action, {"decision": "approve", **fields}))


def test_form_needs_its_csrf_token_without_djangos_middleware_too(app: App, alice: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    action, fields = form_of(browser.get(app.link()))
    assert browser.post(action, {"decision": "approve"}).status_code == 403
    assert "code" in returned(browser.post(action, {"decision": "approve", **fields}))


def test_form_carries_the_whole_request(app: App, signed_in: Browser) -> None:
    action, _ = form_of(signed_in.get(app.link()))
    assert parse_qsl(urlsplit(action).query) == parse_qsl(urlsplit(app.link()).query)


@pytest.mark.parametrize("form", [{}, {"decision": ""}, {"decision": "yes"}, {"decision": "Approve"}, {"allow": "1"}])
def test_decision_missing_or_unknown_decides_nothing(app: App, signed_in: Browser, form: dict[str, str]) -> None:
    response = signed_in.post(app.link(), form)
    assert response.status_code == 400
    assert "Location" not in response
    assert "neither approve nor deny" in response.content.decode()
    assert not AuthorizationCode.objects.exists()


def test_decision_in_the_url_decides_nothing(app: App, signed_in: Browser) -> None:
    assert signed_in.post(app.link() + "&decision=approve").status_code == 400
    assert signed_in.get(app.link() + "&decision=approve").status_code == 200
    assert not AuthorizationCode.objects.exists()


def test_client_disabled_between_prompt_and_approval_gets_nothing(app: App, signed_in: Browser) -> None:
    assert signed_in.get(app.link()).status_code == 200
    app.client.disabled_at = timezone.now()
    app.client.save()
    response = signed_in.post(app.link(), {"decision": "approve"})
    assert response.status_code == 400
    assert "Location" not in response


def test_redirect_uri_removed_between_prompt_and_approval_gets_nothing(app: App, signed_in: Browser) -> None:
    assert signed_in.get(app.link()).status_code == 200
    app.client.redirect_uris.all().delete()
    assert signed_in.post(app.link(), {"decision": "approve"}).status_code == 400


def test_session_that_ended_before_approval_asks_to_log_in(app: App, signed_in: Browser) -> None:
    signed_in.logout()
    response = signed_in.post(app.link(), {"decision": "approve"})
    assert response.status_code == 302
    assert response["Location"].startswith("/login/")
    assert not AuthorizationCode.objects.exists()


def test_user_deactivated_before_approval_asks_to_log_in(app: App, signed_in: Browser, alice: Any) -> None:
    alice.is_active = False
    alice.save()
    assert signed_in.post(app.link(), {"decision": "approve"})["Location"].startswith("/login/")


@pytest.mark.parametrize("step", ["prompt", "approve", "deny", "page that leaves", "error page", "log-in"])
def test_answer_is_neither_cached_nor_framed_nor_named_to_others(app: App, alice: Any, step: str) -> None:
    browser = Browser()
    if step != "log-in":
        browser.force_login(alice)
    response = {
        "prompt": lambda: browser.get(app.link()),
        "approve": lambda: browser.post(app.link(), {"decision": "approve"}),
        "deny": lambda: browser.post(app.link(), {"decision": "deny"}),
        "page that leaves": lambda: browser.post(app.link(), {"decision": "approve"}, headers=NAVIGATE),
        "error page": lambda: browser.get("/oauth/authorize"),
        "log-in": lambda: browser.get(app.link()),
    }[step]()
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert "Access-Control-Allow-Origin" not in response


def test_browser_navigation_gets_a_page_that_goes_on_by_itself(app: App, signed_in: Browser) -> None:
    response = signed_in.post(app.link(), {"decision": "approve"}, headers=NAVIGATE)
    assert response.status_code == 200
    assert "Location" not in response
    seconds, _, url = response["Refresh"].partition(";url=")
    assert seconds == "0"
    assert url.startswith(REDIRECT_URI + "&code=pkce_ac_")
    link = BeautifulSoup(response.content, "html.parser").select_one("a")
    assert link is not None
    assert link["href"] == url
    assert response["Referrer-Policy"] == "no-referrer"
    assert "app.example" in response.content.decode()
    code = dict(parse_qsl(urlsplit(url).query))
    assert code["state"] == STATE
    assert app.redeem(code["code"]).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_program_gets_303_and_never_307(app: App, signed_in: Browser, headers: dict[str, str]) -> None:
    response = signed_in.post(app.link(), {"decision": "approve"}, headers=headers)
    assert response.status_code == 303
    assert "Refresh" not in response


@pytest.mark.parametrize("allowed", [["*"], ["testserver"]])
def test_host_header_changes_nothing_that_is_sent(app: App, signed_in: Browser, settings: Any, allowed: Any) -> None:
    settings.ALLOWED_HOSTS = allowed
    hostile = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    page = signed_in.get(app.link(), headers=hostile)
    answer = signed_in.post(app.link(), {"decision": "approve"}, headers=hostile)
    if allowed != ["*"]:
        assert (page.status_code, answer.status_code) == (400, 400)
        return
    assert "evil.example" not in page.content.decode()
    assert returned(answer)["iss"] == "https://testserver"
    assert "evil.example" not in answer["Location"]
    tokens = app.redeem(returned(answer)["code"])
    assert "evil.example" not in tokens.content.decode()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("append_slash", [True, False])
def test_endpoints_answer_with_and_without_trailing_slash(
    app: App, signed_in: Browser, settings: Any, slash: str, append_slash: bool
) -> None:
    settings.APPEND_SLASH = append_slash
    link = app.link().replace("/oauth/authorize?", f"/oauth/authorize{slash}?")
    assert signed_in.get(link).status_code == 200
    answer = approve(signed_in, link)
    form = {"grant_type": "authorization_code", "code": answer["code"]}
    verifier = {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
    assert app.post(f"/oauth/token{slash}", **form, **verifier).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_other_methods_are_not_allowed(app: App, signed_in: Browser, method: str) -> None:
    response = getattr(signed_in, method)(app.link())
    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_prompt_writes_nothing(app: App, signed_in: Browser) -> None:
    signed_in.get(app.link())
    signed_in.head(app.link())
    assert not Consent.objects.exists()
    assert not AuthorizationCode.objects.exists()


def test_prompt_shows_a_hostile_client_name_as_text(app: App, signed_in: Browser) -> None:
    app.client.name = "<img src=x onerror=alert(1)>"
    app.client.save()
    assert "<img" not in signed_in.get(app.link()).content.decode()


class Down(BaseCache):
    """A cache whose server is away."""

    def _away(self, *_: Any, **__: Any) -> Any:
        raise ConnectionError("the cache is away")

    add = get = set = delete = _away


def test_cache_that_is_away_does_not_take_the_consent_page_down(
    app: App, signed_in: Browser, django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_pkce_auth.server.prompt.cache", Down({}))
    Consent.objects.create(user=django_user_model.objects.create_user("bob"), client=app.client, scope="read")
    response = signed_in.get(app.link())
    assert response.status_code == 200
    assert "Used by 1 person here" in response.content.decode()


def test_approvals_of_more_scopes_add_up_in_one_consent(app: App, signed_in: Browser, alice: Any) -> None:
    for scopes in (("read",), ("write",), ("read",)):
        approve(signed_in, app.link(scopes=scopes))
    consent = Consent.objects.get(user=alice, client=app.client)
    assert consent.scopes == ("read", "write")
