"""Token families, tokens, consents and the audit log in Django admin: to read, to revoke, to withdraw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.secrets import digest
from django_pkce_auth.server.admin import families
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.models import (
    AccessToken,
    Client,
    ClientSecret,
    Consent,
    RefreshToken,
    TokenFamily,
)
from tests.four_steps import App
from tests.server.test_admin import filled_in

Opens = Callable[[str], bool]
ADMIN = "/admin/pkce_auth"
MODELS = ("tokenfamily", "accesstoken", "refreshtoken", "consent", "auditentry")


@pytest.fixture
def root(django_user_model: Any, db: None) -> Browser:
    browser = Browser()
    browser.force_login(django_user_model.objects.create_superuser(username="root"))
    return browser


@pytest.fixture
def staff(django_user_model: Any, db: None) -> Any:
    """A browser of staff with the permissions of these code names."""

    def make(*names: str) -> Browser:
        user = django_user_model.objects.create_user(username="staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        browser = Browser()
        browser.force_login(user)
        return browser

    return make


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return BeautifulSoup(response.content, "html.parser").get_text(" ", strip=True)


def test_revoke_action_ends_access_at_once_and_tells_who_did_it(
    root: Browser, app: App, tokens: dict[str, Any], opens: Opens, settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUDIT": True}
    family = TokenFamily.objects.get()
    assert opens(tokens["access_token"])
    answer = root.post(f"{ADMIN}/tokenfamily/", {"action": "revoke", "_selected_action": [family.pk]}, follow=True)
    assert "1 token family was revoked." in text_of(answer)
    assert not opens(tokens["access_token"])
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    family.refresh_from_db()
    assert family.revoked_reason == "admin"
    entry = AuditEntry.objects.get(event="family_revoked")
    assert entry.facts["reason"] == "admin"
    assert entry.facts["actor"] == root.session["_auth_user_id"]


@pytest.mark.parametrize("shown", ["revoked_at__isempty=1", "q=photo-app", "o=7", "revoked_reason__isnull=True"])
def test_revoke_from_a_list_that_is_narrowed_tells_of_it_too(
    root: Browser, tokens: dict[str, Any], settings: Any, shown: str
) -> None:
    """What shows families that give access shows none of these once they have ended."""
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUDIT": True}
    chosen = {"action": "revoke", "_selected_action": [TokenFamily.objects.get().pk]}
    assert "1 token family was revoked." in text_of(root.post(f"{ADMIN}/tokenfamily/?{shown}", chosen, follow=True))
    assert AuditEntry.objects.get(event="family_revoked").facts["reason"] == "admin"


def test_revoke_ends_more_than_one_statement_takes(
    root: Browser, app: App, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "AT_A_TIME", 2)
    made = [TokenFamily.objects.create(client=app.client, user=alice, scope="read") for _ in range(5)]
    chosen = {"action": "revoke", "_selected_action": [family.pk for family in made]}
    assert "5 token families were revoked." in text_of(root.post(f"{ADMIN}/tokenfamily/", chosen, follow=True))
    assert not TokenFamily.objects.filter(revoked_at=None).exists()


def test_revoke_page_asks_first(root: Browser, tokens: dict[str, Any], opens: Opens) -> None:
    family = TokenFamily.objects.get()
    url = f"{ADMIN}/tokenfamily/{family.pk}"
    assert f'href="{url}/revoke/"' in root.get(f"{url}/change/").content.decode()
    assert "alice" in text_of(root.get(f"{url}/revoke/"))
    assert opens(tokens["access_token"])
    assert "1 token family was revoked." in text_of(root.post(f"{url}/revoke/", follow=True))
    assert not opens(tokens["access_token"])
    assert f'href="{url}/revoke/"' not in root.get(f"{url}/change/").content.decode()
    assert root.get(f"{ADMIN}/tokenfamily/999/revoke/").status_code == 404


def test_revoke_again_changes_nothing(root: Browser, tokens: dict[str, Any]) -> None:
    chosen = {"action": "revoke", "_selected_action": [TokenFamily.objects.get().pk]}
    root.post(f"{ADMIN}/tokenfamily/", chosen)
    before = TokenFamily.objects.get().revoked_at
    assert "0 token families were revoked." in text_of(root.post(f"{ADMIN}/tokenfamily/", chosen, follow=True))
    assert TokenFamily.objects.get().revoked_at == before


@pytest.mark.parametrize(("permission", "may"), [("view_tokenfamily", False), ("change_tokenfamily", True)])
def test_revoke_needs_the_permission_to_change(
    staff: Any, tokens: dict[str, Any], opens: Opens, permission: str, may: bool
) -> None:
    browser, family = staff(permission), TokenFamily.objects.get()
    url = f"{ADMIN}/tokenfamily/{family.pk}"
    assert browser.get(f"{url}/change/").status_code == 200
    assert (f'href="{url}/revoke/"' in browser.get(f"{url}/change/").content.decode()) is may
    assert browser.get(f"{url}/revoke/").status_code == (200 if may else 403)
    browser.post(f"{ADMIN}/tokenfamily/", {"action": "revoke", "_selected_action": [family.pk]})
    assert opens(tokens["access_token"]) is not may


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_neither_added_nor_changed_by_hand(
    root: Browser, model: str, tokens: dict[str, Any], settings: Any
) -> None:
    AuditEntry.objects.create(event="tokens_issued")
    assert root.get(f"{ADMIN}/{model}/add/").status_code == 403
    row = next(
        row
        for kind in (TokenFamily, AccessToken, RefreshToken, Consent, AuditEntry)
        for row in kind.objects.all()
        if kind._meta.model_name == model
    )
    key = row.pk.hex() if isinstance(row.pk, bytes) else row.pk
    before = list(type(row).objects.order_by("pk").values())
    root.post(f"{ADMIN}/{model}/{key}/change/", {"scope": "read write profile", "client": "1"})
    if model != "consent":
        assert root.post(f"{ADMIN}/{model}/{key}/delete/", {"post": "yes"}).status_code == 403
        root.post(f"{ADMIN}/{model}/", {"action": "delete_selected", "_selected_action": [key], "post": "yes"})
    assert list(type(row).objects.order_by("pk").values()) == before


def test_tokens_are_shown_by_fingerprint_under_their_family(root: Browser, tokens: dict[str, Any]) -> None:
    family = TokenFamily.objects.get()
    page = root.get(f"{ADMIN}/tokenfamily/{family.pk}/change/").content.decode()
    for model, name in (("accesstoken", "access_token"), ("refreshtoken", "refresh_token")):
        stored = digest(tokens[name]).hex()
        url = f"{ADMIN}/{model}/?family__id__exact={family.pk}"
        assert f'href="{url}"' in page
        listed = root.get(url).content.decode()
        for shown in (page, listed):
            assert stored[:12] in shown
            assert stored[:13] not in shown
            assert tokens[name] not in shown
        assert f'href="{ADMIN}/tokenfamily/{family.pk}/change/"' in listed
        assert root.get(f"{ADMIN}/{model}/{stored}/change/").status_code == 302
        assert stored[:12] not in root.get(f"{ADMIN}/{model}/?family__id__exact=0").content.decode()


@pytest.mark.leaks_on_purpose  # the token is what is typed into the search
@pytest.mark.parametrize("model", ["accesstoken", "refreshtoken"])
def test_tokens_cannot_be_looked_for(root: Browser, tokens: dict[str, Any], model: str) -> None:
    raw = tokens["access_token" if model == "accesstoken" else "refresh_token"]
    for term in (raw, digest(raw).hex(), digest(raw).hex()[:12]):
        page = BeautifulSoup(root.get(f"{ADMIN}/{model}/", {"q": term}).content, "html.parser")
        assert not page.select("#result_list tbody tr")
    for lookup in ("digest", "digest__startswith", "digest__gt", "family__access_tokens__digest__gt", "pk", "pk__gt"):
        response = root.get(f"{ADMIN}/{model}/", {lookup: digest(raw).hex()})
        assert response.status_code in (302, 400)


@pytest.mark.parametrize("model", [name for name in MODELS if name != "auditentry"])
@pytest.mark.parametrize(
    ("term", "is_found"),
    [("alice", True), ("alice@example.com", True), ("photo-app", True), ("photo", True), ("bob", False), ("", True)],
)
def test_rows_are_found_by_client_and_user(
    root: Browser, alice: Any, tokens: dict[str, Any], model: str, term: str, is_found: bool
) -> None:
    type(alice).objects.filter(pk=alice.pk).update(email="alice@example.com")
    rows = BeautifulSoup(root.get(f"{ADMIN}/{model}/", {"q": term}).content, "html.parser").select(
        "#result_list tbody tr"
    )
    assert bool(rows) is is_found


@pytest.mark.parametrize("how", ["page", "action"])
def test_deleting_a_consent_withdraws_it(
    root: Browser, tokens: dict[str, Any], opens: Opens, how: str, settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUDIT": True}
    consent = Consent.objects.get()
    url, form = f"{ADMIN}/consent/{consent.pk}/delete/", {"post": "yes"}
    if how == "action":
        url, form = f"{ADMIN}/consent/", {**form, "action": "delete_selected", "_selected_action": consent.pk}
    asked = root.get(url) if how == "page" else root.post(url, {**form, "post": ""})
    assert "all access that came of" in text_of(asked)
    assert root.post(url, form).status_code == 302
    assert not opens(tokens["access_token"])
    assert not Consent.objects.exists()
    assert TokenFamily.objects.get().revoked_reason == "admin"
    assert [entry.event for entry in AuditEntry.objects.order_by("pk")] == ["family_revoked", "consent_withdrawn"]
    assert AuditEntry.objects.order_by("pk")[0].facts["actor"] == root.session["_auth_user_id"]


def test_user_and_client_can_be_deleted_with_all_that_is_theirs(
    root: Browser, alice: Any, app: App, tokens: dict[str, Any]
) -> None:
    asked = text_of(root.get(f"{ADMIN}/client/{app.client.pk}/delete/"))
    assert "token families: 1" in asked.lower()
    answer = root.post(f"/admin/auth/user/{alice.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not type(alice).objects.filter(pk=alice.pk).exists()
    assert not TokenFamily.objects.exists()
    assert root.post(f"{ADMIN}/client/{app.client.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Client.objects.exists()


def test_audit_log_is_filtered_by_event_and_found_by_client_and_user(root: Browser, alice: Any) -> None:
    AuditEntry.objects.create(event="tokens_issued", client_id="photo-app", user_id=str(alice.pk), family=7)
    AuditEntry.objects.create(event="reuse_detected", client_id="other-app", facts={"what": "refresh_token"})

    def events(**query: str) -> list[str]:
        page = BeautifulSoup(root.get(f"{ADMIN}/auditentry/", query).content, "html.parser")
        return [cell.get_text() for cell in page.select("#result_list td.field-event")]

    assert events() == ["reuse_detected", "tokens_issued"]
    assert events(event="reuse_detected") == ["reuse_detected"]
    assert events(q="photo-app") == ["tokens_issued"]
    assert events(q="alice") == ["tokens_issued"]
    assert events(q=str(alice.pk)) == ["tokens_issued"]
    assert events(q="nobody") == []
    shown = root.get(f"{ADMIN}/auditentry/").content.decode()
    assert "what: refresh_token" in shown
    assert f"{ADMIN}/tokenfamily/7/change/" in shown


def change(browser: Browser, client: Client, **fields: Any) -> Any:
    url = f"{ADMIN}/client/{client.pk}/change/"
    response = browser.post(url, {**filled_in(browser, url), **fields})
    client.refresh_from_db()
    return response


def test_secret_can_be_ended_now_or_at_an_hour(root: Browser, app: App) -> None:
    assert app.post("/oauth/introspect", token="x").status_code == 200
    change(root, app.client, **{"secrets-0-expires_at_0": "2020-01-01", "secrets-0-expires_at_1": "00:00:00"})
    assert app.post("/oauth/introspect", token="x").status_code == 401
    change(root, app.client, **{"secrets-0-expires_at_0": "", "secrets-0-expires_at_1": ""})
    assert app.post("/oauth/introspect", token="x").status_code == 200
    assert change(root, app.client, **{"secrets-0-end_now": "on"}).status_code == 302
    assert app.post("/oauth/introspect", token="x").status_code == 401
    assert timezone.now() - ClientSecret.objects.get().expires_at < timedelta(minutes=1)


def test_secret_is_neither_deleted_nor_given_by_the_clients_page(root: Browser, app: App) -> None:
    before = list(ClientSecret.objects.order_by("pk").values())
    change(
        root,
        app.client,
        **{
            "secrets-0-DELETE": "on",
            "secrets-0-digest": "00" * 32,
            "secrets-TOTAL_FORMS": "2",
            "secrets-1-end_now": "on",
        },
    )
    assert list(ClientSecret.objects.order_by("pk").values()) == before


def test_secrets_are_shown_to_whoever_may_see_the_client_and_ended_by_whoever_may_change_it(
    staff: Any, app: App
) -> None:
    browser = staff("view_client")
    url = f"{ADMIN}/client/{app.client.pk}/change/"
    assert ClientSecret.objects.get().fingerprint in browser.get(url).content.decode()
    assert browser.post(url, {"secrets-0-end_now": "on"}).status_code == 403
    assert ClientSecret.objects.get().expires_at is None


def test_public_client_has_no_secrets_on_its_page(root: Browser, public_app: App) -> None:
    assert "secrets-TOTAL_FORMS" not in root.get(f"{ADMIN}/client/{public_app.client.pk}/change/").content.decode()


def test_client_is_verified_by_a_tick_and_keeps_the_moment(root: Browser, app: App) -> None:
    change(root, app.client, verified="on")
    first = app.client.verified_at
    assert first is not None
    change(root, app.client, name="Renamed")
    assert app.client.verified_at == first
    url = f"{ADMIN}/client/{app.client.pk}/change/"
    fields = filled_in(root, url)
    del fields["verified"]
    root.post(url, fields)
    app.client.refresh_from_db()
    assert app.client.verified_at is None


def test_grant_types_are_boxes_and_refresh_tokens_come_with_people(root: Browser, app: App) -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    for chosen, stored in (
        (["client_credentials"], "client_credentials"),
        (["authorization_code", "client_credentials"], "authorization_code refresh_token client_credentials"),
        ([device], f"refresh_token {device}"),
    ):
        assert change(root, app.client, grants=chosen).status_code == 302
        assert app.client.grant_types == stored
    assert "This field is required" in change(root, app.client, grants=[]).content.decode()


def test_client_that_was_given_no_refresh_tokens_gets_none_by_being_saved(root: Browser, app: App) -> None:
    Client.objects.update(grant_types="authorization_code")
    change(root, app.client, name="Renamed")
    assert (app.client.name, app.client.grant_types) == ("Renamed", "authorization_code")


def test_public_client_cannot_act_for_itself(root: Browser, public_app: App) -> None:
    response = change(root, public_app.client, grants=["client_credentials"])
    assert "no identity of its own" in response.content.decode()


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        ("https://app.example\nhttp://localhost:3000\n\n", "https://app.example http://localhost:3000"),
        ("https://app.example/", None),
        ("https://app.example:443", None),
        ("https://App.example", None),
        ("app.example", None),
        ("http://app.example", None),
        ("*", None),
        ("null", None),
    ],
)
def test_web_origins_are_as_a_browser_writes_them(root: Browser, app: App, lines: str, stored: str | None) -> None:
    response = change(root, app.client, web_origins=lines)
    assert app.client.web_origins == (stored or "")
    assert ("is no web origin" in response.content.decode()) is (stored is None)


def test_client_page_sets_what_else_a_client_may(root: Browser, app: App, alice: Any) -> None:
    change(root, app.client, introspects="all", first_party="on", service_user=str(alice.pk))
    assert app.client.introspects == "all"
    assert app.client.first_party
    assert app.client.service_user == alice
    page = root.get(f"{ADMIN}/client/{app.client.pk}/change/").content.decode()
    assert "https://testserver/.well-known/oauth-authorization-server" in page
    assert "http://127.0.0.1/callback" in page
