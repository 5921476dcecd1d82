"""``pkce_client apply FILE``: the clients are as the file says, and the same file again changes nothing."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pkce_auth.server.models import Client, ClientSecret
from tests.four_steps import App

SECRET = "provisioned-0123456789abcdef0123456789"
FILE = """
[[client]]
client_id = "photo-app"
name = "Photo App"
redirect_uris = ["https://app.example/callback", "https://app.example/other"]
scopes = ["read", "write"]
default_scopes = ["read"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
first_party = true
secret_env = "PHOTO_APP_SECRET"

[[client]]
client_id = "phone-app"
type = "public"
redirect_uris = ["com.example.phone:/callback"]
scopes = ["read"]
web_origins = ["https://app.example"]
"""


@pytest.fixture(autouse=True)
def secret_in_the_environment(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setenv("PHOTO_APP_SECRET", SECRET)


def apply(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "clients.toml"
    file.write_text(text)
    out = StringIO()
    call_command("pkce_client", "apply", str(file), "--json", stdout=out)
    assert SECRET not in out.getvalue()
    return {row["client_id"]: row["outcome"] for row in json.loads(out.getvalue())}


def test_clients_are_made_as_the_file_says(tmp_path: Path) -> None:
    assert apply(tmp_path, FILE) == {"photo-app": "created", "phone-app": "created"}
    photo = Client.objects.get(client_id="photo-app")
    assert (photo.name, photo.type, photo.first_party) == ("Photo App", "confidential", True)
    assert (photo.scopes, photo.default_scopes) == (("read", "write"), ("read",))
    assert {row.uri for row in photo.redirect_uris.all()} == {
        "https://app.example/callback",
        "https://app.example/other",
    }
    answer = App(photo, SECRET).post(grant_type="client_credentials", scope="read")
    assert answer.status_code == 200
    phone = Client.objects.get(client_id="phone-app")
    assert (phone.type, phone.web_origins, phone.secrets.count()) == ("public", "https://app.example", 0)


def test_same_file_again_changes_nothing(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    before = (list(Client.objects.order_by("pk").values()), list(ClientSecret.objects.order_by("pk").values()))
    assert apply(tmp_path, FILE) == {"photo-app": "unchanged", "phone-app": "unchanged"}
    assert (list(Client.objects.order_by("pk").values()), list(ClientSecret.objects.order_by("pk").values())) == before


def test_changed_file_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    more = '[[client]]\nclient_id = "photo-app"\nredirect_uris = ["https://new.example/cb"]\ndisabled = true\n'
    assert apply(tmp_path, more) == {"photo-app": "changed"}
    photo = Client.objects.get(client_id="photo-app")
    assert [row.uri for row in photo.redirect_uris.all()] == ["https://new.example/cb"]
    assert photo.disabled_at is not None
    assert photo.scopes == ("read", "write")
    assert apply(tmp_path, more.replace("true", "false")) == {"photo-app": "changed"}
    assert Client.objects.get(client_id="photo-app").disabled_at is None


def test_new_secret_in_the_environment_is_added_beside_the_old(tmp_path: Path, monkeypatch: Any) -> None:
    apply(tmp_path, FILE)
    newer = SECRET[::-1]
    monkeypatch.setenv("PHOTO_APP_SECRET", newer)
    assert apply(tmp_path, FILE)["photo-app"] == "changed"
    photo = Client.objects.get(client_id="photo-app")
    for secret in (SECRET, newer):
        assert App(photo, secret).post(grant_type="client_credentials", scope="read").status_code == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "is no TOML"),
        ("x = 1", "[[client]] tables"),
        ("", "[[client]] tables"),
        ('[[client]]\nname = "x"', "has no client_id"),
        ('[[client]]\nclient_id = "a b"', "without spaces"),
        ('[[client]]\nclient_id = "7"', "key of a user"),
        ('[[client]]\nclient_id = "a"\nredirect_uri = []', "did you mean redirect_uris?"),
        ('[[client]]\nclient_id = "a"\nscopes = "read"', "must be a list of strings"),
        ('[[client]]\nclient_id = "a"\nscopes = [1]', "must be a list of strings"),
        ('[[client]]\nclient_id = "a"\nfirst_party = "yes"', "must be true or false"),
        ('[[client]]\nclient_id = "a"\nscopes = ["nope"]', "is not in PKCE_AUTH['SCOPES']"),
        ('[[client]]\nclient_id = "a"\nredirect_uris = ["http://app.example/"]', "use https://"),
        ('[[client]]\nclient_id = "a"\ntype = "odd"', "not a valid choice"),
        ('[[client]]\nclient_id = "a"\nsecret_env = "NOT_SET"', "NOT_SET is not set"),
        (
            '[[client]]\nclient_id = "a"\ntype = "public"\nsecret_env = "PHOTO_APP_SECRET"',
            "public client has no secret",
        ),
        ('[[client]]\nclient_id = "a"\n[[client]]\nclient_id = "a"', "stands twice"),
        ('[[client]]\nclient_id = "a"\ngrant_types = ["implicit"]', "no grant type"),
        ('[[client]]\nclient_id = "a"\nscopes = ["read"]\ndefault_scopes = ["write"]', "not among its allowed scopes"),
        ('[[client]]\nclient_id = "a"\nservice_user = "nobody"', "there is no user nobody"),
        ('[[client]]\nclient_id = "a"\nmetadata = "x"', "must be a table"),
        ('[[client]]\nclient_id = "a"\nmetadata = {share = nan}', "a JSON object"),
        ('[[client]]\nclient_id = "a"\nmetadata = {since = 2026-01-01}', "a JSON object"),
        ('[[client]]\nclient_id = "a"\nverifed = true', "did you mean verified?"),
        ('[[client]]\nclient_id = "a"\nweb_origins = ["https://app.example/path"]', "no web origin"),
    ],
)
def test_bad_file_says_what_is_wrong_and_changes_nothing_at_all(text: str, words: str, tmp_path: Path) -> None:
    good = '[[client]]\nclient_id = "good"\n'
    with pytest.raises(CommandError) as refused:
        apply(tmp_path, good + text if text.startswith("[[") else text)
    assert words in str(refused.value)
    assert not Client.objects.exists()


def test_file_can_verify_a_client_and_give_it_a_service_user(tmp_path: Path, alice: Any) -> None:
    text = '[[client]]\nclient_id = "a"\nverified = true\nservice_user = "alice"\nmetadata = {team = "photos"}\n'
    assert apply(tmp_path, text) == {"a": "created"}
    client = Client.objects.get()
    first = client.verified_at
    assert (client.service_user, client.metadata, first is not None) == (alice, {"team": "photos"}, True)
    assert apply(tmp_path, text) == {"a": "unchanged"}
    assert Client.objects.get().verified_at == first
    assert apply(tmp_path, text.replace("true", "false").replace("alice", "")) == {"a": "changed"}
    client = Client.objects.get()
    assert (client.service_user, client.verified_at) == (None, None)


def test_fewer_scopes_leave_no_default_beyond_them(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    with pytest.raises(CommandError, match="default scope read is not among"):
        apply(tmp_path, '[[client]]\nclient_id = "photo-app"\nscopes = ["write"]')


def test_secret_that_has_expired_is_not_taken_for_one_that_works(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    ClientSecret.objects.update(expires_at=timezone.now())
    with pytest.raises(CommandError, match="has expired") as refused:
        apply(tmp_path, FILE)
    assert SECRET not in str(refused.value)


def test_second_run_says_to_people_that_nothing_was_changed(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    out = StringIO()
    call_command("pkce_client", "apply", str(tmp_path / "clients.toml"), stdout=out)
    assert "nothing was changed" in out.getvalue()


def test_type_of_a_client_can_not_be_changed(tmp_path: Path) -> None:
    apply(tmp_path, FILE)
    with pytest.raises(CommandError, match="can't be changed"):
        apply(tmp_path, '[[client]]\nclient_id = "photo-app"\ntype = "public"')


def test_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("pkce_client", "apply", str(tmp_path / "none.toml"))


def test_client_whose_id_may_be_a_users_key_from_before_is_changed_as_ever(tmp_path: Path) -> None:
    Client.objects.create(client_id="7", name="Seven")
    apply(tmp_path, '[[client]]\nclient_id = "7"\nname = "Seven of nine"')
    assert Client.objects.get().name == "Seven of nine"


def test_client_that_another_process_registers_after_we_looked_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = Client.full_clean

    def late(client: Client) -> None:
        monkeypatch.setattr(Client, "full_clean", clean)
        Client.objects.create(client_id="photo-app", name="Photo App")
        client.full_clean()

    monkeypatch.setattr(Client, "full_clean", late)
    assert apply(tmp_path, FILE)["photo-app"] == "created"  # what the other made is undone with our first try
