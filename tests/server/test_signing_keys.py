"""The life of signing keys: published before they sign, published until their last token has expired."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth import conf, signals
from django_pkce_auth.published import MAX_AGE_SECONDS
from django_pkce_auth.server import keys
from django_pkce_auth.server.keys import AHEAD, KEPT_SECONDS, add_key, retire_key, rotate_key, sign
from django_pkce_auth.server.models import AccessToken, Client, TokenFamily
from django_pkce_auth.server.signing_key import SigningKey

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.get_default_timezone())
LIFETIME = timedelta(hours=1)
pytestmark = pytest.mark.django_db


def add(algorithm: str = "ES256", now: datetime = NOW) -> SigningKey:
    return add_key(algorithm, settings=conf.settings(), now=now)


def rotate(algorithm: str = "ES256", now: datetime = NOW) -> SigningKey:
    return rotate_key(algorithm, settings=conf.settings(), now=now)


def signer(now: datetime, algorithm: str = "ES256") -> str | None:
    key = SigningKey.objects.signing(algorithm, now)
    return None if key is None else key.kid


def published(now: datetime) -> set[str]:
    return {key.kid for key in SigningKey.objects.published(now)}


def test_first_key_signs_at_once() -> None:
    key = add()
    assert signer(NOW) == key.kid
    assert key.state(NOW) == "signing"
    with pytest.raises(ValidationError, match="rotate"):
        add()
    assert add("EdDSA").kid != key.kid


def test_rotated_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_has_expired() -> None:
    old, later = add(), NOW + timedelta(days=30)
    new = rotate(now=later)
    assert published(later) == {old.kid, new.kid}
    takes_over = later + AHEAD
    assert takes_over - later > timedelta(seconds=MAX_AGE_SECONDS)
    assert signer(takes_over - timedelta(microseconds=1)) == old.kid
    assert signer(takes_over) == new.kid
    # A process that found the old key the moment before signs with it for as long as it keeps it.
    last_token_ends = takes_over + timedelta(seconds=KEPT_SECONDS) + LIFETIME
    assert published(last_token_ends - timedelta(seconds=1)) == {old.kid, new.kid}
    assert published(last_token_ends) == {new.kid}
    states = [SigningKey.objects.get(kid=old.kid).state(at) for at in (later, takes_over, last_token_ends)]
    assert states == ["signing", "published", "gone"]
    assert new.state(later) == "waiting"


def test_old_key_stays_for_tokens_of_a_longer_lifetime_that_the_settings_had_before() -> None:
    old = add()
    client = Client.objects.create(client_id="x", name="x")
    family = TokenFamily.objects.create(client=client, scope="read")
    end = NOW + timedelta(days=9)
    AccessToken.objects.create(digest=b"x" * 32, family=family, created_at=NOW, expires_at=end)
    rotate()
    assert old.kid in published(end - timedelta(seconds=1))
    assert old.kid not in published(end)


def test_rotation_without_a_key_makes_one_that_signs() -> None:
    assert signer(NOW) is None
    assert rotate().kid == signer(NOW)


def test_two_rotations_leave_one_signer_at_every_moment() -> None:
    add()
    one, other = rotate(now=NOW), rotate(now=NOW + timedelta(minutes=1))
    assert signer(NOW + AHEAD) == one.kid
    assert signer(NOW + AHEAD + timedelta(minutes=1)) == other.kid


def test_retired_key_signs_nothing_and_stays_published() -> None:
    old = add()
    rotate(now=NOW)
    now = NOW + AHEAD
    retire_key(SigningKey.objects.get(kid=old.kid), settings=conf.settings(), now=now)
    assert old.kid in published(now + LIFETIME)


def test_last_key_of_a_client_is_not_retired_unless_it_is_compromised() -> None:
    key = add()
    Client.objects.create(client_id="api", name="API", token_format="ES256")
    with pytest.raises(ValidationError, match="api"):
        retire_key(key, settings=conf.settings(), now=NOW)
    assert signer(NOW) == key.kid
    retire_key(key, compromised=True, settings=conf.settings(), now=NOW)
    assert signer(NOW) is None
    assert published(NOW) == set()


@pytest.mark.parametrize("compromised", [True, False])
def test_key_that_is_gone_is_not_published_again(compromised: bool) -> None:
    """An administrator who retires all keys of a list but one must not bring a stolen one back with it."""
    stolen, client = add(), Client.objects.create(client_id="x", name="x")
    rotate()
    now = NOW + AHEAD
    retire_key(SigningKey.objects.get(kid=stolen.kid), compromised=True, settings=conf.settings(), now=now)
    family = TokenFamily.objects.create(client=client, scope="read")
    AccessToken.objects.create(digest=b"x" * 32, family=family, created_at=now, expires_at=now + LIFETIME)
    before = SigningKey.objects.get(kid=stolen.kid)
    retire_key(before, compromised=compromised, settings=conf.settings(), now=now + timedelta(minutes=5))
    again = SigningKey.objects.get(kid=stolen.kid)
    assert again.kid not in published(now + timedelta(minutes=5))
    assert (again.published_until, again.retires_at) == (now, now)


def kid(now: datetime) -> str:
    token = sign({}, algorithm="ES256", settings=conf.settings(), now=now, using="default")
    return str(jwt.get_unverified_header(token)["kid"])


def test_key_that_was_never_committed_signs_nothing_after() -> None:
    """As in a project's tests: each makes a key, which its transaction takes back."""
    for _ in range(2):
        with transaction.atomic():
            made = add()
            assert kid(NOW) == made.kid
            transaction.set_rollback(True)


def test_process_keeps_its_key_for_a_minute_and_sees_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    first = add()
    clock = 1000.0
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: clock))
    assert kid(NOW + timedelta(seconds=KEPT_SECONDS)) == first.kid
    second = rotate()
    clock += KEPT_SECONDS - 1
    assert kid(NOW + AHEAD) == first.kid
    clock += 1
    assert kid(NOW + AHEAD) == second.kid


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    heard: list[dict[str, Any]] = []

    def receive(**sent: Any) -> None:
        heard.append({name: value for name, value in sent.items() if name in ("kid", "algorithm", "compromised")})

    for signal in (signals.signing_key_added, signals.signing_key_retired):
        signal.connect(receive)
    yield heard
    for signal in (signals.signing_key_added, signals.signing_key_retired):
        signal.disconnect(receive)


def test_events_tell_of_each_step(told: list[dict[str, Any]], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        old, new = add(), rotate()
    assert told == [
        {"kid": old.kid, "algorithm": "ES256"},
        {"kid": new.kid, "algorithm": "ES256"},
        {"kid": old.kid, "algorithm": "ES256", "compromised": False},
    ]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("pkce_keys", *arguments, stdout=out)
    return out.getvalue()


def test_command_lists_adds_rotates_and_retires() -> None:
    assert "pkce_keys add" in run("list")
    (first,) = json.loads(run("add", "--json"))
    assert (first["algorithm"], first["state"]) == ("ES256", "signing")
    with pytest.raises(CommandError, match="rotate"):
        run("add")
    (second,) = json.loads(run("rotate", "--json"))
    assert second["state"] == "waiting"
    rows = {row["kid"]: row["state"] for row in json.loads(run("list", "--json"))}
    assert rows == {first["kid"]: "signing", second["kid"]: "waiting"}
    assert "an hour" in run("retire", first["kid"], "--compromised")
    rows = {row["kid"]: row["state"] for row in json.loads(run("list", "--json"))}
    assert rows == {first["kid"]: "gone", second["kid"]: "waiting"}
    with pytest.raises(CommandError, match="no key of this ID"):
        run("retire", first["kid"].swapcase())
    for key in SigningKey.objects.all():
        private = json.loads(key.private_jwk)["d"]
        assert private not in run("list") + run("list", "--json")


def test_command_says_when_nothing_signs_any_more_and_what_then_helps(capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = json.loads(run("add", "--algorithm", "EdDSA", "--json"))
    run("rotate", "--algorithm", "EdDSA")
    run("retire", first["kid"], "--compromised")
    assert "No key signs EdDSA now: manage.py pkce_keys add --algorithm EdDSA" in capsys.readouterr().err
    (made,) = json.loads(run("add", "--algorithm", "EdDSA", "--json"))
    assert made["state"] == "signing"
    (other,) = json.loads(run("add", "--json"))
    run("rotate")
    SigningKey.objects.filter(algorithm="ES256").update(active_at=timezone.now())
    run("retire", other["kid"], "--compromised")
    assert capsys.readouterr().err == ""


def test_check_names_a_client_whose_tokens_nobody_can_sign() -> None:
    Client.objects.create(client_id="api", name="API", token_format="RS256")
    with pytest.raises(SystemCheckError, match=r"api gets RS256 tokens(.|\n)*pkce_keys add --algorithm RS256"):
        call_command("check", databases=["default"])
    add("RS256", now=timezone.now())
    call_command("check", databases=["default"], stdout=StringIO())


def test_published_keys_are_public_cacheable_and_conditional() -> None:
    assert Browser().get("/oauth/jwks").json() == {"keys": []}
    key = add(now=timezone.now())
    add("RS256", now=timezone.now())
    response = Browser().get("/oauth/jwks")
    by_kid = {each["kid"]: each for each in response.json()["keys"]}
    assert by_kid[key.kid].keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert {frozenset(each) & {"d", "p", "q", "dp", "dq", "qi", "k"} for each in by_kid.values()} == {frozenset()}
    assert f"max-age={MAX_AGE_SECONDS}" in response["Cache-Control"]
    assert response["Access-Control-Allow-Origin"] == "*"
    again = Browser().get("/oauth/jwks", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    rotate(now=timezone.now())
    assert Browser().get("/oauth/jwks", headers={"If-None-Match": response["ETag"]}).status_code == 200
    assert Browser().post("/oauth/jwks").status_code == 405


@pytest.fixture
def root(admin_user: Any) -> Browser:
    browser = Browser()
    browser.force_login(admin_user)
    return browser


LIST = "/admin/pkce_auth/signingkey/"


def test_admin_shows_rotates_and_retires(root: Browser) -> None:
    key = add(now=timezone.now())
    private = json.loads(key.private_jwk)["d"]
    assert key.kid in root.get(LIST).content.decode()
    page = root.get(f"{LIST}{key.pk}/change/").content.decode()
    assert key.kid in page
    assert private not in page
    answer = root.post(LIST, {"action": "rotate", "_selected_action": [key.pk]}, follow=True).content.decode()
    assert "is published and signs ES256 from" in answer
    Client.objects.create(client_id="api", name="API", token_format="ES256")
    answer = root.post(LIST, {"action": "retire", "_selected_action": [key.pk]}, follow=True).content.decode()
    assert "rotate first" in answer
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_admins_own_log_tells_who_rotated_and_retired_a_key(root: Browser) -> None:
    old = add(now=timezone.now())
    for action in ("rotate", "retire"):
        root.post(LIST, {"action": action, "_selected_action": [old.pk]})
    new = SigningKey.objects.exclude(pk=old.pk).get()
    told = LogEntry.objects.order_by("pk").values_list("user__username", "object_repr", "change_message")
    assert list(told) == [("admin", new.kid, "Made by rotation."), ("admin", old.kid, "Retired.")]


def test_admin_lets_only_those_act_who_may(django_user_model: Any) -> None:
    from django.contrib.auth.models import Permission

    key = add(now=timezone.now())
    viewer = django_user_model.objects.create_user(username="viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_signingkey"))
    browser = Browser()
    browser.force_login(viewer)
    assert key.kid in browser.get(LIST).content.decode()
    browser.post(LIST, {"action": "rotate", "_selected_action": [key.pk]})
    assert SigningKey.objects.count() == 1


@pytest.mark.parametrize("later", [0, 1])
def test_key_that_was_read_before_it_was_compromised_is_not_published_again(later: int) -> None:
    """Two administrators retire it at the same moment, one of them as compromised."""
    kid = add().kid
    one, other = (SigningKey.objects.get(kid=kid) for _ in range(2))
    retire_key(one, compromised=True, settings=conf.settings(), now=NOW + timedelta(seconds=later))
    retire_key(other, settings=conf.settings(), now=NOW)
    assert published(NOW + timedelta(seconds=later)) == set()
