"""Client authentication at the token endpoint (RFC 6749 §2.3.1, §3.2.1, §5.2)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.secrets import digest
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.clients import add_secret
from django_pkce_auth.server.models import AccessToken, ClientSecret
from tests.four_steps import VERIFIER, App, approve
from tests.server.test_token_request import FORM, refused

ODD_SECRET = "100%+odd:&=secret/with~signs-and=more%2Bof+them"


def basic(client_id: str, secret: str) -> str:
    return "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.fixture
def send(code: str) -> Callable[..., HttpResponse]:
    """Redeem Alice's code for ``photo-app`` with whatever is given as proof of the client."""

    def redeem(*, authorization: str | None = None, **body: str) -> HttpResponse:
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, **body}
        headers = {} if authorization is None else {"Authorization": authorization}
        return Browser().post("/oauth/token", urlencode(fields), content_type=FORM, headers=headers)

    return redeem


def test_secret_in_the_body_is_taken(app: App, send: Any) -> None:
    assert send(client_id="photo-app", client_secret=app.secret).status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_secret_in_the_header_is_taken(app: App, send: Any, scheme: str) -> None:
    header = basic("photo-app", app.secret or "").replace("Basic", scheme)
    assert send(authorization=header).status_code == 200


def test_header_with_the_same_client_id_in_the_body_is_taken(app: App, send: Any) -> None:
    assert send(authorization=basic("photo-app", app.secret or ""), client_id="photo-app").status_code == 200


@pytest.mark.parametrize("encoded", [True, False], ids=["form-encoded, as the RFC says", "raw, as many clients do"])
def test_odd_characters_in_a_basic_secret_are_read_both_ways(app: App, send: Any, encoded: bool) -> None:
    add_secret(app.client, raw=ODD_SECRET, now=timezone.now())
    secret = urlencode({"": ODD_SECRET})[1:] if encoded else ODD_SECRET
    assert send(authorization=basic("photo-app", secret)).status_code == 200


def test_both_methods_at_once_are_refused_rfc6749_2_3(app: App, send: Any) -> None:
    response = send(authorization=basic("photo-app", app.secret or ""), client_secret=app.secret)
    refused(response, "invalid_request", "by header and by body at once")


def test_header_and_body_naming_different_clients_are_refused(app: App, public_app: App, send: Any) -> None:
    response = send(authorization=basic("photo-app", app.secret or ""), client_id="phone-app")
    refused(response, "invalid_request", "not that of the Authorization header")


BAD_BODIES = {
    "wrong secret": {"client_id": "photo-app", "client_secret": "wrong"},
    "secret cut short": {"client_id": "photo-app", "client_secret": "SECRET[:-1]"},
    "digest in place of the secret": {"client_id": "photo-app", "client_secret": "DIGEST"},
    "no secret": {"client_id": "photo-app"},
    "empty secret": {"client_id": "photo-app", "client_secret": ""},
    "nothing at all": {},
    "secret without client": {"client_secret": "SECRET"},
    "unknown client": {"client_id": "nobody", "client_secret": "SECRET"},
    "client in capitals": {"client_id": "PHOTO-APP", "client_secret": "SECRET"},
    "client with a space": {"client_id": "photo-app ", "client_secret": "SECRET"},
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_credentials_in_the_body_are_invalid_client_without_challenge(
    app: App, send: Any, body: dict[str, str]
) -> None:
    assert app.secret
    stand_ins = {"SECRET": app.secret, "SECRET[:-1]": app.secret[:-1], "DIGEST": digest(app.secret).hex()}
    response = send(**{name: stand_ins.get(value, value) for name, value in body.items()})
    refused(response, "invalid_client", status=401)
    assert "WWW-Authenticate" not in response
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    "header",
    [
        basic("photo-app", "wrong"),
        basic("nobody", "wrong"),
        basic("photo-app", ""),
        basic("", ""),
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + b64encode(b"no-colon").decode(),
        "Basic " + b64encode(b"\xff\xfe:\x00").decode(),
        "Basic " + b64encode(b"photo-app:a\x00b").decode(),
        "Bearer pkce_at_x",
        "Digest username=x",
        "",
        "\xe4\xf6\xfc",
        "Basic " + "A" * 7000,
    ],
)
def test_bad_credentials_in_the_header_are_401_with_basic_challenge_rfc6749_5_2(
    app: App, send: Any, header: str
) -> None:
    response = send(authorization=header)
    refused(response, "invalid_client", status=401)
    assert response["WWW-Authenticate"].startswith("Basic realm=")


def test_failure_tells_a_stranger_nothing_about_which_client_exists(app: App, public_app: App, send: Any) -> None:
    app.client.disabled_at = timezone.now()
    app.client.save()
    answers = {
        send(client_id=client_id, client_secret="x" * 40).content for client_id in ("photo-app", "phone-app", "nobody")
    }
    assert len(answers) == 1


def test_failure_is_logged_with_its_reason_and_without_the_secret(
    app: App, send: Any, caplog: pytest.LogCaptureFixture
) -> None:
    send(client_id="photo-app", client_secret="a-wrong-secret-that-must-not-be-logged")
    assert "no secret of the client that is still valid matches" in caplog.text
    assert "must-not-be-logged" not in caplog.text


def test_client_disabled_is_invalid_client(app: App, code: str) -> None:
    app.client.disabled_at = timezone.now()
    app.client.save()
    refused(app.redeem(code), "invalid_client", status=401)


def test_public_client_needs_no_secret_and_may_send_none(public_app: App, signed_in: Browser) -> None:
    code = approve(signed_in, public_app.link())["code"]
    response = public_app.post(
        grant_type="authorization_code", code=code, code_verifier=VERIFIER, client_secret="x" * 43
    )
    refused(response, "invalid_client", status=401)
    assert public_app.redeem(code).status_code == 200


def test_secrets_work_side_by_side_until_they_expire(app: App, signed_in: Browser, later: Any) -> None:
    first = app.secret
    app.secret = second = add_secret(app.client, now=timezone.now())
    for secret in (first, second):
        app.secret = secret
        assert app.redeem(approve(signed_in, app.link())["code"]).status_code == 200
    old = ClientSecret.objects.get(digest=digest(first or ""))
    old.expires_at = timezone.now()
    old.save()
    later(seconds=1)
    app.secret = first
    code = approve(signed_in, app.link())["code"]
    refused(app.redeem(code), "invalid_client", status=401)
    app.secret = second
    assert app.redeem(code).status_code == 200


def test_secret_of_another_client_proves_nothing(app: App, register: Callable[..., App], send: Any) -> None:
    other = register(client_id="other")
    refused(send(client_id="photo-app", client_secret=other.secret), "invalid_client", status=401)


def test_confidential_client_without_any_secret_row_never_authenticates(app: App, code: str) -> None:
    app.client.secrets.all().delete()
    refused(app.redeem(code), "invalid_client", status=401)


@pytest.mark.leaks_on_purpose  # the statement that looks for such a client has it
def test_secret_sent_as_the_client_id_is_neither_logged_nor_kept(
    app: App, send: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PKCE_AUTH = settings.PKCE_AUTH | {"AUDIT": True}
    assert app.secret
    assert send(client_id=app.secret, client_secret=app.client.client_id).status_code == 401
    assert send(authorization=basic(app.secret, app.client.client_id)).status_code == 401
    records = [
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name != "django.request"
    ]
    kept = [str(row) for row in AuditEntry.objects.values()]
    for line in (*records, *kept):
        assert app.secret not in line
    failed = AuditEntry.objects.filter(event="client_authentication_failed")
    assert [row.client_id for row in failed] == ["<a secret>", "<a secret>"]
