"""``manage.py pkce_client``: provisioning from a shell, by a person or by a program."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client as Browser

from django_pkce_auth.protocol.grant_types import DEVICE_CODE
from django_pkce_auth.secrets import digest, fingerprint
from django_pkce_auth.server import clients
from django_pkce_auth.server.models import Client, ClientSecret
from tests.four_steps import REDIRECT_URI, VERIFIER, App, approve, bearer

SECRET = re.compile(r"pkce_cs_[A-Za-z0-9_-]{43}")
PROVISIONED = "0123456789abcdef0123456789abcdef"

Run = Callable[..., str]


@pytest.fixture
def run(db: None) -> Run:
    def command(*arguments: str) -> str:
        out = StringIO()
        call_command("pkce_client", *arguments, stdout=out, stderr=out, no_color=True)
        return out.getvalue()

    return command


CREATE = ("create", "Photo App", "--client-id", "photo-app", "--redirect-uri", REDIRECT_URI, "--scope", "read")


def test_create_prints_the_secret_once_and_it_works(run: Run, signed_in: Browser) -> None:
    printed = run(*CREATE)
    (secret,) = SECRET.findall(printed)
    assert "Store the secret now" in printed
    assert secret not in run("list")
    assert secret not in run("list", "--json")
    app = App(Client.objects.get(), secret)
    assert app.redeem(approve(signed_in, app.link())["code"]).status_code == 200


@pytest.mark.parametrize("client_id", ["1", "990001", "01", "+1", "99_0001"])
def test_client_id_that_is_or_may_become_a_users_key_is_refused_oauth21_7_4(run: Run, client_id: str) -> None:
    """Its own signed token says sub=1, which another API may take for user 1: as Django does, however it is written."""
    with pytest.raises(CommandError, match="key of a user"):
        run("create", "Photo App", "--client-id", client_id)
    assert not Client.objects.exists()
    run("create", "Photo App", "--client-id", f"a{client_id}")


@pytest.mark.parametrize("written", [str, str.upper, lambda key: key.replace("-", ""), "{{{}}}".format])
def test_client_id_that_may_become_a_users_uuid_is_refused_oauth21_7_4(
    written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.setattr(clients, "plain_field", lambda field: models.UUIDField())
    key = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
    with pytest.raises(ValidationError, match="key of a user"):
        clients.clean_new_client_id(written(key))
    assert clients.clean_new_client_id(f"{key}-app") == f"{key}-app"


def test_client_id_is_refused_where_keys_are_texts_if_a_user_has_it(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "plain_field", lambda field: models.CharField())
    assert clients.clean_new_client_id("photo-app") == "photo-app"
    with pytest.raises(ValidationError, match="key of a user"):
        clients.clean_new_client_id(str(alice.pk))


def test_create_as_json_is_all_that_a_program_needs(run: Run) -> None:
    told = json.loads(run(*CREATE, "--json"))
    assert SECRET.fullmatch(told.pop("client_secret"))
    assert len(told.pop("secrets")) == 1
    assert told == {
        "client_id": "photo-app",
        "name": "Photo App",
        "type": "confidential",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "read",
        "resources": [],
        "token_format": "",
        "redirect_uris": [REDIRECT_URI],
        "web_origins": [],
        "secrets_end": {},
        "disabled_at": None,
    }


def test_create_generates_the_client_id(run: Run) -> None:
    told = json.loads(run("create", "A", "--json"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", told["client_id"])


def test_generated_client_id_is_no_option_to_a_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["-" * 43, "-b", "c-" * 20])
    monkeypatch.setattr("django_pkce_auth.server.clients.generate", lambda *prefix: next(drawn))
    run("create", "A", "--public")
    assert Client.objects.get().client_id == "c-" * 20


def test_client_id_with_a_hyphen_first_is_named_after_two(run: Run) -> None:
    run("create", "A", "--client-id=-a", "--public")
    run("disable", "--", "-a")
    assert Client.objects.get().disabled_at is not None


def test_client_of_a_machine_gets_a_token_for_itself(run: Run) -> None:
    told = json.loads(run("create", "Report", "--grant-type", "client_credentials", "--scope", "read", "--json"))
    assert told["grant_types"] == ["client_credentials"]
    report = App(Client.objects.get(), told["client_secret"])
    assert report.post(grant_type="client_credentials", scope="read").status_code == 200
    assert report.post(grant_type="refresh_token", refresh_token="x").json()["error"] == "unauthorized_client"


def test_client_of_a_device_may_refresh_where_that_is_named(run: Run) -> None:
    told = json.loads(
        run("create", "TV", "--public", "--grant-type", "refresh_token", "--grant-type", DEVICE_CODE, "--json")
    )
    assert told["grant_types"] == ["refresh_token", DEVICE_CODE]


def test_create_takes_repeated_options(run: Run) -> None:
    uris = ["https://a.example/1", "https://a.example/2", "https://a.example/1"]
    options = [part for uri in uris for part in ("--redirect-uri", uri)]
    told = json.loads(run("create", "A", *options, "--scope", "write", "--scope", "read", "--scope", "read", "--json"))
    assert told["redirect_uris"] == uris[:2]
    assert told["scope"] == "write read"


def test_page_of_a_web_origin_reads_its_tokens(run: Run, signed_in: Browser) -> None:
    origins = ["https://app.example", "http://localhost:3000"]
    named = [part for origin in origins for part in ("--web-origin", origin)]
    told = json.loads(run(*CREATE, "--public", *named, "--json"))
    assert told["web_origins"] == origins
    assert "http://localhost:3000" in run("list")
    app = App(Client.objects.get(), None)
    form = {
        "grant_type": "authorization_code",
        "code": approve(signed_in, app.link())["code"],
        "client_id": "photo-app",
    }
    answer = Browser().post(
        "/oauth/token",
        urlencode(form | {"redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}),
        content_type="application/x-www-form-urlencoded",
        headers={"Origin": origins[0]},
    )
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == origins[0]
    for path in ("/oauth/token", "/oauth/revoke"):
        asked = Browser().options(path, headers={"Origin": origins[1], "Access-Control-Request-Method": "POST"})
        assert asked["Access-Control-Allow-Origin"] == origins[1]


def test_create_public_has_no_secret(run: Run) -> None:
    printed = run(
        "create", "Phone", "--public", "--redirect-uri", "com.example.app:/cb", "--redirect-uri", "http://127.0.0.1/cb"
    )
    assert "secret" not in printed
    assert not ClientSecret.objects.exists()
    assert not Client.objects.get().is_confidential


@pytest.mark.parametrize("arguments", [CREATE, (*CREATE, "--json")])
def test_secret_from_the_environment_works_and_is_not_printed(
    run: Run, signed_in: Browser, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PHOTO_SECRET", PROVISIONED)
    printed = run(*arguments, "--secret-env", "PHOTO_SECRET")
    assert PROVISIONED not in printed
    assert "client_secret" not in printed
    app = App(Client.objects.get(), PROVISIONED)
    assert app.redeem(approve(signed_in, app.link())["code"]).status_code == 200


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "The environment variable PHOTO_SECRET is not set"),
        ("", "not set or empty"),
        ("x" * 31, "has 31 characters; it needs 32"),
        ("x" * 31 + " ", "printable ASCII"),
        ("x" * 40 + "\u00e4", "printable ASCII"),
        ("x" * 40 + "\n", "printable ASCII"),
    ],
)
def test_secret_from_the_environment_that_is_unfit_registers_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, value: str | None, words: str
) -> None:
    if value is None:
        monkeypatch.delenv("PHOTO_SECRET", raising=False)
    else:
        monkeypatch.setenv("PHOTO_SECRET", value)
    with pytest.raises(CommandError, match=re.escape(words)) as refused:
        run(*CREATE, "--secret-env", "PHOTO_SECRET")
    assert not value or value not in str(refused.value)
    assert not Client.objects.exists()


def test_secret_of_another_client_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTO_SECRET", PROVISIONED)
    run(*CREATE, "--secret-env", "PHOTO_SECRET")
    with pytest.raises(CommandError, match="in use already"):
        run("create", "B", "--client-id", "b", "--secret-env", "PHOTO_SECRET")
    assert Client.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "A", "--redirect-uri", "http://a.example/cb"), "http:// is accepted for loopback"),
        (("create", "A", "--redirect-uri", "https://a.example/#x"), "fragment"),
        (("create", "A", "--redirect-uri", "https://*.example/"), "Wildcards are not supported"),
        (("create", "A", "--redirect-uri", "com.example.app:/cb"), "make it public"),
        (("create", "A", "--redirect-uri", "nonsense"), "absolute"),
        (("create", "A", "--web-origin", "https://a.example/"), "https://a.example/ is no web origin"),
        (("create", "A", "--web-origin", "*"), "* is no web origin"),
        (("create", "A", "--grant-type", "password"), "invalid choice: 'password'"),
        (("create", "A", "--grant-type", "refresh_token"), "a grant type to get its first token by"),
        (("create", "A", "--public", "--grant-type", "client_credentials"), "A public client has no identity"),
        (("create", "A", "--scope", "fly"), "fly is not in PKCE_AUTH['SCOPES']; known are: read write profile"),
        (("create", "A", "--scope", "read write"), "read write is not in"),
        (("create", "A", "--client-id", "a b"), "without spaces and colons"),
        (("create", "A", "--client-id", "a:b"), "without spaces and colons"),
        (("create", "A", "--client-id", "\udcff"), "without spaces and colons"),
        (("create", "A", "--client-id", "x" * 201), "at most 200 characters"),
        (("create", "x" * 201), "at most 200 characters"),
        (("create", ""), "cannot be blank"),
        (("create", "\udcff"), "cannot be shown"),
        (("create", "A", "--public", "--secret-env", "X"), "a public client has no secret"),
        (("create",), "name"),
        ((), "create|list|add-secret|end-secret|add-redirect-uri|remove-redirect-uri|disable|apply"),
        (("remove",), "invalid choice"),
        (("add-secret", "nobody"), "There is no client nobody"),
        (("end-secret", "nobody", "0" * 12), "There is no client nobody"),
        (("add-redirect-uri", "nobody", REDIRECT_URI), "There is no client nobody"),
        (("remove-redirect-uri", "nobody", REDIRECT_URI), "There is no client nobody"),
        (("end-secret", "nobody"), "fingerprint"),
        (("add-redirect-uri", "nobody"), "uri"),
        (("disable", "nobody"), "There is no client nobody"),
        (("disable",), "client_id"),
        (("create", "A", "--shout"), "unrecognized arguments"),
    ],
)
def test_mistake_is_one_line_and_changes_nothing(run: Run, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert words in str(refused.value)
    assert not Client.objects.exists()


def test_create_with_a_client_id_that_is_taken_is_refused(run: Run) -> None:
    run(*CREATE)
    with pytest.raises(CommandError, match="There is a client photo-app already"):
        run(*CREATE)
    assert ClientSecret.objects.count() == 1


def test_list_names_clients_with_fingerprints(run: Run, app: App, public_app: App) -> None:
    printed = run("list")
    assert "photo-app" in printed
    assert "phone-app" in printed
    assert app.client.secrets.get().fingerprint in printed
    rows = json.loads(run("list", "--json"))
    assert {row["client_id"] for row in rows} == {"photo-app", "phone-app"}
    assert all("client_secret" not in row for row in rows)


def test_list_of_no_clients_is_empty(run: Run) -> None:
    assert json.loads(run("list", "--json")) == []


def test_add_secret_leaves_the_old_one_working(run: Run, app: App, signed_in: Browser) -> None:
    told = json.loads(run("add-secret", "photo-app", "--json"))
    assert len(told["secrets"]) == 2
    for secret in (app.secret, told["client_secret"]):
        worker = App(app.client, secret)
        assert worker.redeem(approve(signed_in, app.link())["code"]).status_code == 200


def test_add_secret_to_a_public_client_is_refused(run: Run, public_app: App) -> None:
    with pytest.raises(CommandError, match="public client has no secret"):
        run("add-secret", "phone-app")


def test_end_secret_ends_that_one_at_once(run: Run, app: App) -> None:
    second = App(app.client, json.loads(run("add-secret", "photo-app", "--json"))["client_secret"])
    first = fingerprint(digest(app.secret or ""))
    told = json.loads(run("end-secret", "photo-app", first, "--json"))
    assert told["outcome"] == "changed"
    assert list(told["secrets_end"]) == [first]
    assert told["secrets"][0] == first, "the oldest stands first"
    assert app.post("/oauth/introspect", token="x").status_code == 401
    assert second.post("/oauth/introspect", token="x").status_code == 200


def test_end_secret_in_hours_leaves_time_to_deploy_and_may_be_moved(
    run: Run, app: App, later: Callable[..., None]
) -> None:
    name = app.client.secrets.get().fingerprint
    run("end-secret", "photo-app", name, "--in", "240")
    run("end-secret", "photo-app", name, "--in", "1.5")
    assert f"{name} at 20" in run("list")
    later(hours=1.4)
    assert app.post("/oauth/introspect", token="x").status_code == 200
    later(hours=0.2)
    assert app.post("/oauth/introspect", token="x").status_code == 401


def test_end_secret_brings_none_back(run: Run, app: App) -> None:
    name = app.client.secrets.get().fingerprint
    run("end-secret", "photo-app", name)
    assert "The secret has ended already; nothing was changed." in run("end-secret", "photo-app", name, "--in", "24")
    assert json.loads(run("end-secret", "photo-app", name, "--in", "24", "--json"))["outcome"] == "unchanged"
    assert app.post("/oauth/introspect", token="x").status_code == 401


@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "1e9", "soon"])
def test_end_secret_in_no_number_of_hours_ends_nothing(run: Run, app: App, hours: str) -> None:
    with pytest.raises(CommandError, match="--in"):
        run("end-secret", "photo-app", app.client.secrets.get().fingerprint, f"--in={hours}")
    assert ClientSecret.objects.get().expires_at is None


def test_end_secret_of_another_client_ends_nothing(run: Run, app: App, register: Callable[..., App]) -> None:
    other = register(client_id="other").client.secrets.get().fingerprint
    with pytest.raises(CommandError, match=f"photo-app has no secret {other}; those that it has are [0-9a-f]{{12}}."):
        run("end-secret", "photo-app", other)
    with pytest.raises(CommandError, match="has no secret ;"):
        run("end-secret", "photo-app", "")
    assert not ClientSecret.objects.exclude(expires_at=None).exists()


PREVIEW = "https://pr-7.preview.example/callback"


def test_redirect_uri_of_a_preview_comes_and_goes(run: Run, app: App, signed_in: Browser) -> None:
    link = app.link(redirect_uri=PREVIEW)
    assert signed_in.get(link).status_code == 400
    assert json.loads(run("add-redirect-uri", "photo-app", PREVIEW, "--json"))["redirect_uris"] == [
        REDIRECT_URI,
        PREVIEW,
    ]
    assert signed_in.get(link).status_code == 200
    assert json.loads(run("remove-redirect-uri", "photo-app", PREVIEW, "--json"))["redirect_uris"] == [REDIRECT_URI]
    assert signed_in.get(link).status_code == 400
    assert signed_in.get(app.link()).status_code == 200


def test_redirect_uri_again_changes_nothing_and_says_so(run: Run, app: App) -> None:
    added = [json.loads(run("add-redirect-uri", "photo-app", PREVIEW, "--json"))["outcome"] for _ in range(2)]
    assert added == ["changed", "unchanged"]
    assert "is registered already; nothing was changed" in run("add-redirect-uri", "photo-app", PREVIEW)
    assert app.client.redirect_uris.count() == 2
    gone = [json.loads(run("remove-redirect-uri", "photo-app", PREVIEW, "--json"))["outcome"] for _ in range(2)]
    assert gone == ["changed", "unchanged"]
    assert "has no such redirect URI; nothing was changed" in run("remove-redirect-uri", "photo-app", PREVIEW)
    assert "nothing was changed" not in run("remove-redirect-uri", "photo-app", REDIRECT_URI)


def test_redirect_uri_is_removed_to_the_character(run: Run, app: App) -> None:
    assert json.loads(run("remove-redirect-uri", "photo-app", REDIRECT_URI.upper(), "--json"))["outcome"] == "unchanged"
    assert [row.uri for row in app.client.redirect_uris.all()] == [REDIRECT_URI]


def test_redirect_uri_of_another_letter_case_is_another_one(run: Run, app: App) -> None:
    other = REDIRECT_URI.replace("callback", "Callback")
    assert json.loads(run("add-redirect-uri", "photo-app", other, "--json"))["outcome"] == "changed"
    assert app.client.redirect_uris.count() == 2


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://*.example/", "Wildcards are not supported"),
        ("com.example.app:/cb", "make it public"),
        ("", "1 to 2000 characters"),
        ("https://a.example/\nhttps://b.example/", "only the ASCII characters"),
    ],
)
def test_redirect_uri_that_the_form_would_refuse_is_refused(run: Run, app: App, uri: str, words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        run("add-redirect-uri", "photo-app", uri)
    assert app.client.redirect_uris.count() == 1


@pytest.mark.parametrize("client_id", ["PHOTO-APP", "photo-app "])
def test_client_is_found_by_its_exact_id_only(run: Run, app: App, client_id: str) -> None:
    with pytest.raises(CommandError, match="There is no client"):
        run("disable", client_id)
    app.client.refresh_from_db()
    assert app.client.disabled_at is None


def test_disable_ends_access_at_once(run: Run, app: App, tokens: dict[str, Any]) -> None:
    headers = bearer(tokens["access_token"])
    assert Browser().get("/api/read", headers=headers).status_code == 200
    first = json.loads(run("disable", "photo-app", "--json"))["disabled_at"]
    assert Browser().get("/api/read", headers=headers).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 401
    assert json.loads(run("disable", "photo-app", "--json"))["disabled_at"] == first
