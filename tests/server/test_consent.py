"""Consent is a record of its own: when the page is shown, what it shows, and what is granted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.test import Client as Browser
from django.utils import timezone, translation

from django_pkce_auth.server.consent import withdraw
from django_pkce_auth.server.models import AuthorizationCode, Client, Consent, TokenFamily
from tests.four_steps import App, approve, returned

LOOPBACK = "http://127.0.0.1/callback"


def asks(browser: Browser, link: str) -> bool:
    """True where the page is shown, False where the browser goes straight back with a code."""
    response = browser.get(link)
    if response.status_code == 200:
        return True
    assert "code" in returned(response)
    return False


def ticked(browser: Browser, link: str) -> dict[str, list[str]]:
    """The scopes on the page, by the legend above them."""
    page = BeautifulSoup(browser.get(link).content, "html.parser")
    groups = page.select("fieldset")
    return {group.legend.text: [box["value"] for box in group.select("input")] for group in groups if group.legend}


def test_answer_is_remembered_whatever_became_of_the_tokens(app: App, signed_in: Browser) -> None:
    assert asks(signed_in, app.link())
    approve(signed_in, app.link())
    TokenFamily.objects.all().delete()
    AuthorizationCode.objects.all().delete()
    assert not asks(signed_in, app.link())


def test_more_scopes_are_asked_for_and_told_apart(app: App, signed_in: Browser) -> None:
    approve(signed_in, app.link(scopes=("read",)))
    more = app.link(scopes=("read", "write"))
    assert ticked(signed_in, more) == {"It will be able to": ["write"], "You allowed before": ["read"]}
    approve(signed_in, more)
    assert Consent.objects.get().scopes == ("read", "write")
    assert not asks(signed_in, more)


def test_page_says_who_when_and_how_many(app: App, signed_in: Browser, django_user_model: Any) -> None:
    Client.objects.update(registered_by=django_user_model.objects.create_user("olga"), verified_at=timezone.now())
    text = BeautifulSoup(signed_in.get(app.link()).content, "html.parser").get_text(" ", strip=True)
    assert "Registered by olga" in text
    assert "Nobody here has used it yet" in text
    assert "verified by this site" in text
    assert "not verified" not in text


@pytest.mark.parametrize(
    ("language", "zone", "said"),
    [("en", "UTC", "March 4, 2026"), ("en", "Asia/Tokyo", "March 5, 2026"), ("de", "UTC", "4. März 2026")],
)
def test_day_of_the_registration_is_that_of_the_reader(
    app: App, signed_in: Browser, language: str, zone: str, said: str
) -> None:
    Client.objects.update(created_at=datetime(2026, 3, 4, 23, 30, tzinfo=UTC))
    with translation.override(language), timezone.override(zone):
        context = signed_in.get(app.link()).context
        assert context["registered_on"] == said
        # Once more, as it was remembered.
        assert signed_in.get(app.link()).context["registered_on"] == said


def test_scopes_come_in_their_groups(app: App, signed_in: Browser, settings: Any) -> None:
    settings.PKCE_AUTH = {
        **settings.PKCE_AUTH,
        "SCOPES": {"read": {"words": "See", "group": "Photos"}, "write": {"words": "Change", "group": "Albums"}},
    }
    page = BeautifulSoup(signed_in.get(app.link(scopes=("read", "write"))).content, "html.parser")
    groups = [each.get_text(strip=True) for each in page.select(".pkce-group")]
    assert groups == ["Photos", "Albums"]


@pytest.mark.parametrize(
    ("public", "uri", "first_party", "asked_again"),
    [
        (False, "https://app.example/cb", False, False),
        (True, "https://app.example/cb", False, False),
        (True, LOOPBACK, False, True),
        (True, "https://localhost:8443/cb", False, True),
        (True, "https://127.0.0.1:8443/cb", True, True),
        (True, "https://[0:0:0:0:0:0:0:1]:8443/cb", False, True),
        (True, "com.example.app:/cb", False, True),
        (True, LOOPBACK, True, True),
        (True, "com.example.app:/cb", True, True),
        (True, "https://app.example/cb", True, False),
    ],
)
def test_remembered_answer_counts_for_a_proven_client_only_oauth21_7_3_1(
    public: bool, uri: str, first_party: bool, asked_again: bool, register: Callable[..., App], signed_in: Browser
) -> None:
    app = register(public=public, uris=(uri,), first_party=first_party)
    link = app.link(redirect_uri=uri)
    assert asks(signed_in, link) is not (first_party and not asked_again)
    approve(signed_in, link)
    assert asks(signed_in, link) is asked_again


def test_optional_scope_can_be_unticked(app: App, signed_in: Browser) -> None:
    link = app.link(scopes=("read", "write"))
    back = returned(signed_in.post(link, {"decision": "approve", "shown": "read write", "scope": ["read"]}))
    assert app.redeem(back["code"]).json()["scope"] == "read"
    assert Consent.objects.get().scopes == ("read",)


def test_required_scope_stays_though_it_was_unticked(app: App, signed_in: Browser, settings: Any) -> None:
    scopes = settings.PKCE_AUTH["SCOPES"] | {"profile": {"words": "See who you are", "required": True}}
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": scopes}
    link = app.link(scopes=("read", "profile"))
    back = returned(signed_in.post(link, {"decision": "approve", "shown": "read profile", "scope": ["read"]}))
    assert app.redeem(back["code"]).json()["scope"] == "read profile"


@pytest.mark.parametrize(
    "form",
    [
        {"shown": "read write", "scope": []},
        {"shown": "read", "scope": ["read"]},
        {"shown": "read write profile", "scope": ["read"]},
        {"shown": "read write", "scope": ["read", "profile"]},
        {"scope": ["profile"]},
    ],
)
def test_form_that_does_not_fit_the_link_is_refused(form: dict[str, Any], app: App, signed_in: Browser) -> None:
    response = signed_in.post(app.link(scopes=("read", "write")), {"decision": "approve", **form})
    assert response.status_code == 400
    assert not AuthorizationCode.objects.exists()
    assert not Consent.objects.exists()


def test_policy_leaves_out_what_the_user_may_not_grant(app: App, signed_in: Browser, settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SERVER_POLICY": "tests.policies.NoWriting"}
    link = app.link(scopes=("read", "write"))
    assert ticked(signed_in, link) == {"It will be able to": ["read"]}
    assert app.redeem(approve(signed_in, link)["code"]).json()["scope"] == "read"
    assert returned(signed_in.get(app.link(scopes=("write",))))["error"] == "access_denied"


def test_hierarchy_needs_no_second_question(app: App, signed_in: Browser, settings: Any) -> None:
    scopes = settings.PKCE_AUTH["SCOPES"] | {"write": {"words": "Change your data", "implies": ["read"]}}
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": scopes}
    code = approve(signed_in, app.link(scopes=("write",)))["code"]
    assert not asks(signed_in, app.link(scopes=("read",)))
    token = app.redeem(code).json()["access_token"]
    assert Browser().get("/api/read", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_withdrawal_kills_a_code_that_waits(app: App, signed_in: Browser, alice: Any) -> None:
    code = approve(signed_in, app.link())["code"]
    withdraw(user=alice, client=app.client, now=timezone.now())
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert asks(signed_in, app.link())


def withdrawn_meanwhile(settings: Any) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SERVER_POLICY": "tests.policies.WithdrawnMeanwhile"}


def test_answer_that_was_withdrawn_this_moment_is_asked_for(app: App, signed_in: Browser, settings: Any) -> None:
    approve(signed_in, app.link())
    withdrawn_meanwhile(settings)
    assert ticked(signed_in, app.link()) == {"It will be able to": ["read"]}
    assert returned(signed_in.get(app.link_with(prompt="none")))["error"] == "consent_required"
    assert not Consent.objects.exists()
    assert not AuthorizationCode.objects.exists()


def test_implied_scope_is_asked_for_where_the_consent_was_withdrawn_this_moment(
    app: App, signed_in: Browser, settings: Any
) -> None:
    scopes = settings.PKCE_AUTH["SCOPES"] | {"write": {"words": "Change your data", "implies": ["read"]}}
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"SCOPES": scopes}
    approve(signed_in, app.link(scopes=("write",)))
    withdrawn_meanwhile(settings)
    assert asks(signed_in, app.link())
    assert not Consent.objects.exists()


def test_approval_after_a_withdrawal_of_this_moment_can_be_withdrawn_again(
    app: App, signed_in: Browser, settings: Any
) -> None:
    """What has access is always on the user's page of apps."""
    approve(signed_in, app.link())
    withdrawn_meanwhile(settings)
    code = approve(signed_in, app.link())["code"]
    assert app.redeem(code).status_code == 200
    assert Consent.objects.get().scopes == ("read",)


def test_switching_the_account_signs_out_and_comes_back(app: App, signed_in: Browser) -> None:
    response = signed_in.post(app.link(), {"decision": "switch"})
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=/oauth/authorize")
    assert "_auth_user_id" not in signed_in.session
