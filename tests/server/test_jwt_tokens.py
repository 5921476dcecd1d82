"""Access tokens as JWTs, a choice for each client (RFC 9068): what is in them, who can verify them, what ends them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt as pyjwt
import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_pkce_auth import conf
from django_pkce_auth.server.apply import apply_clients
from django_pkce_auth.server.keys import KEPT_SECONDS, add_key
from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from django_pkce_auth.server.signing_key import SigningKey
from tests.four_steps import App, approve, bearer

FORMATS = ["ES256", "EdDSA", "PS256", "RS256"]
NO_KEYS = {
    key: value for key, value in django_settings.PKCE_AUTH.items() if key not in ("ENCRYPTION_KEYS", "PROVIDERS")
}


@pytest.fixture
def signed(register: Callable[..., App], signed_in: Browser) -> Callable[[str], App]:
    def make(algorithm: str = "ES256") -> App:
        add_key(algorithm, settings=conf.settings(), now=timezone.now())
        return register(client_id=f"app-{algorithm}", token_format=algorithm)

    return make


def issue(app: App, browser: Browser, **more: Any) -> dict[str, Any]:
    response: Any = app.redeem(approve(browser, app.link(**more))["code"])
    assert response.status_code == 200, response.content
    return dict(response.json())


def read(token: str, algorithm: str) -> dict[str, Any]:
    """Verify as a resource server elsewhere does: with another library, by the published keys."""
    published = pyjwt.PyJWKSet.from_dict(Browser().get("/oauth/jwks").json())
    header = pyjwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "typ": "at+jwt", "kid": published[header["kid"]].key_id}
    return dict(
        pyjwt.decode(token, published[header["kid"]].key, algorithms=[algorithm], audience="https://testserver")
    )


@pytest.mark.parametrize("algorithm", FORMATS)
def test_token_says_what_rfc9068_2_2_demands_and_no_more(
    signed: Callable[[str], App], signed_in: Browser, alice: Any, algorithm: str
) -> None:
    app = signed(algorithm)
    answer = issue(app, signed_in, scopes=("read", "write"))
    claims = read(answer["access_token"], algorithm)
    assert claims.pop("exp") - claims.pop("iat") == answer["expires_in"] == 3600
    assert len(claims.pop("jti")) == 43
    assert claims == {
        "iss": "https://testserver",
        "sub": str(alice.pk),
        "aud": "https://testserver",
        "client_id": app.client.client_id,
        "scope": "read write",
    }
    assert len(answer["access_token"]) < 1500


def test_two_tokens_of_one_second_are_two_tokens(signed: Callable[[str], App], signed_in: Browser) -> None:
    app = signed("EdDSA")
    one, other = (issue(app, signed_in)["access_token"] for _ in range(2))
    assert read(one, "EdDSA")["jti"] != read(other, "EdDSA")["jti"]


def test_refresh_gives_a_jwt_again_narrowed_where_asked(signed: Callable[[str], App], signed_in: Browser) -> None:
    app = signed("ES256")
    answer = issue(app, signed_in, scopes=("read", "write"))
    again: Any = app.refresh(answer["refresh_token"], scope="read")
    assert read(again.json()["access_token"], "ES256")["scope"] == "read"
    assert answer["refresh_token"].startswith("pkce_rt_")


def test_client_that_acts_for_itself_is_the_subject(register: Callable[..., App]) -> None:
    add_key("ES256", settings=conf.settings(), now=timezone.now())
    app = register(client_id="robot", token_format="ES256", grant_types="client_credentials")
    answer: Any = app.post(grant_type="client_credentials", scope="read")
    claims = read(answer.json()["access_token"], "ES256")
    assert claims["sub"] == claims["client_id"] == "robot"


def test_audience_is_what_the_token_is_bound_to(signed: Callable[[str], App], signed_in: Browser) -> None:
    tools, own = "https://testserver/tools", "https://testserver"
    with override_settings(PKCE_AUTH=django_settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        app = signed("ES256")
        code = approve(signed_in, app.link() + f"&resource={tools}&resource={own}")["code"]
        answer: Any = app.redeem(code, resource=tools)
        payload = answer.json()["access_token"].split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(payload + "=="))["aud"] == tools
        answer = app.refresh(answer.json()["refresh_token"])
        assert read(answer.json()["access_token"], "ES256")["aud"] == [tools, own]


def test_own_guards_let_it_in_and_refuse_it_once_it_is_revoked(
    signed: Callable[[str], App], signed_in: Browser
) -> None:
    token = issue(signed("ES256"), signed_in)["access_token"]
    browser = Browser()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert browser.get("/api/read", headers=bearer(token)).json()["user"] == "alice"
    assert len(captured) == 1
    TokenFamily.objects.update(revoked_at=timezone.now())
    assert browser.get("/api/read", headers=bearer(token)).status_code == 401


def test_own_guards_take_no_token_that_was_only_signed(signed: Callable[[str], App], signed_in: Browser) -> None:
    token = issue(signed("ES256"), signed_in)["access_token"]
    AccessToken.objects.all().delete()
    assert read(token, "ES256")
    assert Browser().get("/api/read", headers=bearer(token)).status_code == 401


def test_introspection_and_revocation_know_it(signed: Callable[[str], App], signed_in: Browser) -> None:
    app = signed("ES256")
    token = issue(app, signed_in)["access_token"]
    said: Any = app.post("/oauth/introspect", token=token)
    assert (said.json()["active"], said.json()["scope"]) == (True, "read")
    assert app.post("/oauth/revoke", token=token).status_code == 200
    said = app.post("/oauth/introspect", token=token)
    assert said.json() == {"active": False}


def test_signing_costs_one_statement_a_minute(
    signed: Callable[[str], App], register: Callable[..., App], signed_in: Browser
) -> None:
    counts = []
    for app in (register(), signed("ES256")):
        # The minute begins with the first after the key's own.
        SigningKey.objects.update(created_at=timezone.now() - timedelta(seconds=KEPT_SECONDS))
        for _ in range(2):
            code = approve(signed_in, app.link())["code"]
            with CaptureQueriesContext(connection) as captured:
                assert app.redeem(code).status_code == 200
            counts.append(len(captured))
    opaque, again, first, kept = counts
    assert opaque == again == kept
    assert first == opaque + 1


@pytest.mark.parametrize("fault", ["no key", "unreadable"])
def test_token_that_can_not_be_signed_is_503_and_burns_no_code(
    signed: Callable[[str], App], signed_in: Browser, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = signed("ES256")
    code = approve(signed_in, app.link())["code"]
    key = SigningKey.objects.get()
    if fault == "no key":
        SigningKey.objects.all().delete()
    else:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE pkce_auth_signingkey SET private_jwk = 'gAAAA'")
    response: Any = app.redeem(code)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json()["error"] == "temporarily_unavailable"
    assert "No key can sign ES256 tokens" in caplog.text
    assert not TokenFamily.objects.exists()
    SigningKey.objects.all().delete()
    key.save(force_insert=True)
    assert app.redeem(code).status_code == 200


def test_private_key_is_nowhere_to_be_read(signed: Callable[[str], App]) -> None:
    signed("ES256")
    key = SigningKey.objects.get()
    private = json.loads(key.private_jwk)["d"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM pkce_auth_signingkey")
        assert private not in str(cursor.fetchall())
    assert private not in repr(key) + str(key) + key.public_jwk + Browser().get("/oauth/jwks").content.decode()


def test_command_makes_the_key_that_the_format_needs(db: None) -> None:
    call_command("pkce_client", "create", "API app", "--token-format", "PS256", "--json")
    assert Client.objects.get().token_format == SigningKey.objects.get().algorithm == "PS256"
    call_command("pkce_client", "create", "Another", "--token-format", "PS256", "--json")
    assert SigningKey.objects.count() == 1


@override_settings(PKCE_AUTH=NO_KEYS)
def test_format_without_encryption_keys_says_what_to_do_and_registers_nothing(db: None) -> None:
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS"):
        call_command("pkce_client", "create", "API app", "--token-format", "ES256", "--json")
    assert not Client.objects.exists()


def test_file_sets_the_format(db: None) -> None:
    def apply(name: str) -> list[tuple[str, str]]:
        document = {"client": [{"client_id": "api", "token_format": name}]}
        return apply_clients(document, settings=conf.settings(), environ={}, now=timezone.now())

    assert apply("EdDSA") == [("api", "created")]
    assert apply("EdDSA") == [("api", "unchanged")]
    assert apply("opaque") == [("api", "changed")]
    assert SigningKey.objects.get().algorithm == "EdDSA"
    with pytest.raises(ValidationError, match="HS256"):
        apply("HS256")


def test_metadata_leads_to_the_keys(db: None) -> None:
    assert Browser().get("/.well-known/oauth-authorization-server").json()["jwks_uri"] == (
        "https://testserver/oauth/jwks"
    )
