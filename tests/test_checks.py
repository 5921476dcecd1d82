"""``manage.py check``: one test an id, each with a hint that says what to do."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import models
from django.test.utils import isolate_apps

from django_pkce_auth import checks as module
from django_pkce_auth.checks import check_new_users, check_settings
from django_pkce_auth.client.policy import ClientPolicy
from django_pkce_auth.server.policy import ServerPolicy

KEY = "zrt9ZbTGWmAhhQ-HWcOcHKQzrIM3d2LZ6Mr0nYpYVcU="
FINE = {"ISSUER": "https://example.com", "SCOPES": {"read": "Read your data"}, "ENCRYPTION_KEYS": [KEY]}
ACME = {"acme": {"issuer": "https://acme.example", "client_id": "us"}}


class OurServerPolicy(ServerPolicy):
    pass


class OurClientPolicy(ClientPolicy):
    pass


@pytest.fixture
def found(settings: Any) -> Any:
    """Return the messages for these settings."""

    def check(pkce_auth: Any = None, **changes: Any) -> list[checks.CheckMessage]:
        settings.PKCE_AUTH = {**FINE, **changes} if pkce_auth is None else pkce_auth
        return check_settings()

    return check


def only(messages: list[checks.CheckMessage], identifier: str, words: str, hint: str) -> None:
    (message,) = messages
    assert message.id == f"pkce_auth.{identifier}"
    assert words in message.msg
    assert hint in (message.hint or "")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"PROVIDERS": ACME},
        {"ISSUER": "http://127.0.0.1:8000"},
        {"ISSUER": "http://localhost:8000"},
        {"SERVER_POLICY": f"{__name__}.OurServerPolicy", "CLIENT_POLICY": f"{__name__}.OurClientPolicy"},
    ],
)
def test_fine_settings_are_quiet(found: Any, changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("https://example.com", "missing or no dict"),
        ({"SCOPES": {}}, "'ISSUER'] is missing"),
        ({**FINE, "ISSUER": "https://example.com/"}, "ends in a slash"),
        ({**FINE, "PROVIDERS": {"acme": {}}}, "has no 'client_id'"),
        ({**FINE, "ACCESS_TOKEN_LIFETIME": "1h"}, "a number of seconds above 0"),
    ],
)
def test_e001_settings_that_cannot_be_read(found: Any, raw: Any, words: str) -> None:
    only(found(raw), "E001", words, "README")


def test_e001_settings_missing(settings: Any) -> None:
    del settings.PKCE_AUTH
    only(check_settings(), "E001", "PKCE_AUTH is missing", "README")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("ISUER", "Did you mean 'ISSUER'?"),
        ("scopes", "Did you mean 'SCOPES'?"),
        ("PROVIDER", "Did you mean 'PROVIDERS'?"),
        ("ACCES_TOKEN_LIFETIME", "Did you mean 'ACCESS_TOKEN_LIFETIME'?"),
        ("ENCRYPTION_KEY", "Did you mean 'ENCRYPTION_KEYS'?"),
        ("zzzzzzzz", "Known keys: "),
        (7, "Known keys: "),
    ],
)
def test_e002_unknown_key_suggests_the_nearest(found: Any, key: Any, hint: str) -> None:
    only(found(**{**FINE, str(key): 1}), "E002", f"unknown key {str(key)!r}", hint)


def test_e002_is_said_beside_e001(found: Any) -> None:
    assert [message.id for message in found({"ISUER": "https://example.com"})] == ["pkce_auth.E001", "pkce_auth.E002"]


@pytest.mark.parametrize(("debug", "level"), [(False, checks.ERROR), (True, checks.WARNING)])
def test_e003_issuer_without_https(found: Any, settings: Any, debug: bool, level: int) -> None:
    settings.DEBUG = debug
    messages = found(ISSUER="http://example.com")
    only(messages, "E003", "would travel in clear", "https://")
    assert messages[0].level == level


def test_e004_providers_without_encryption_keys(found: Any) -> None:
    only(found(PROVIDERS=ACME, ENCRYPTION_KEYS=[]), "E004", "Fernet.generate_key", "stored encrypted")


@pytest.mark.parametrize("key", ["", "short", "x" * 44, KEY[:-2], "\u00e4" * 44])
def test_e005_encryption_key_of_the_wrong_form_is_not_shown(found: Any, key: str) -> None:
    messages = found(ENCRYPTION_KEYS=[KEY, key])
    only(messages, "E005", "'ENCRYPTION_KEYS'][1] is no key", "Fernet.generate_key")
    assert "missing" not in (messages[0].hint or "")
    assert not key or key not in str(messages)


@pytest.mark.parametrize("scope", ["read write", "", 'say "x"', "l\u00e4sen", "x" * 101, 7])
def test_e006_scope_that_cannot_be_one(found: Any, scope: Any) -> None:
    only(found(SCOPES={scope: "Words"}), "E006", repr(scope), "RFC 6749 section 3.3")


@pytest.mark.parametrize("key", ["SERVER_POLICY", "CLIENT_POLICY"])
@pytest.mark.parametrize(
    "dotted", ["no.such.Policy", "tests.test_checks.Missing", "tests.test_checks.FINE", "builtins.dict", "x", "", 7]
)
def test_e007_policy_that_is_no_subclass(found: Any, key: str, dotted: Any) -> None:
    only(found(**{key: dotted}), "E007", repr(dotted), "dotted path of your subclass")


@pytest.mark.parametrize(
    ("dotted", "why"),
    [
        ("no.such.Policy", "can't be imported: No module named 'no'"),
        ("tests.test_checks.Missing", 'can\'t be imported: Module "tests.test_checks" does not define a "Missing"'),
        ("x", "can't be imported: x doesn't look like a module path"),
        (OurServerPolicy, "is no dotted path"),
        ("builtins.dict", "is no subclass of django_pkce_auth.server.policy.ServerPolicy"),
    ],
)
def test_e007_says_why_there_is_no_policy(found: Any, dotted: Any, why: str) -> None:
    only(found(SERVER_POLICY=dotted), "E007", why, "dotted path of your subclass")


@pytest.mark.parametrize(
    ("dotted", "why"),
    [
        ("no.such.count", "can't be imported: No module named 'no'"),
        ("tests.test_checks.KEY", "is no function"),
    ],
)
def test_e011_says_why_there_is_no_function(found: Any, dotted: str, why: str) -> None:
    only(found(METRICS=dotted), "E011", why, "dotted path of your function")


ACME_MAKES_USERS = {"acme": {**ACME["acme"], "login": True, "create_users": True}}


class MakesUsers(ClientPolicy):
    def create_user(self, provider: Any, account: Any) -> Any:
        raise NotImplementedError


@isolate_apps()
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"email": models.EmailField(unique=True)}, ["email"]),
        ({"email": models.CharField(max_length=100, unique=True)}, []),
        ({"email": models.CharField(unique=True), "badge": models.CharField(unique=True)}, ["badge"]),
        ({"email": models.CharField(unique=True), "badge": models.CharField(unique=True, null=True)}, []),
        ({"email": models.CharField(unique=True), "born": models.DateField()}, ["born"]),
        ({"email": models.CharField(unique=True), "made": models.DateTimeField(auto_now_add=True)}, []),
        (
            {
                "email": models.CharField(unique=True),
                "nick": models.CharField(),
                "uid": models.UUIDField(default=uuid4),
            },
            [],
        ),
    ],
)
def test_w025_users_that_the_policy_can_not_fill(
    found: Any, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], named: list[str]
) -> None:
    members = {"__module__": __name__, "USERNAME_FIELD": "email", "Meta": type("Meta", (), {"app_label": "partners"})}
    person = type("Person", (AbstractBaseUser,), members | fields)
    monkeypatch.setattr(module, "get_user_model", lambda: person)
    assert found(PROVIDERS=ACME_MAKES_USERS) == []
    messages = check_new_users()
    assert [each.id for each in messages] == ["pkce_auth.W025"] * len(named)
    for message, field in zip(messages, named, strict=True):
        assert "'acme' makes a user by ClientPolicy.create_user" in message.msg
        assert f"no value for Person.{field} that is right" in message.msg
    found(PROVIDERS=ACME_MAKES_USERS, CLIENT_POLICY="tests.test_checks.MakesUsers")
    assert check_new_users() == []
    found(PROVIDERS=ACME)
    assert check_new_users() == []


def test_w025_is_quiet_about_djangos_own_users_and_bad_settings(found: Any) -> None:
    found(PROVIDERS=ACME_MAKES_USERS)
    assert check_new_users() == []
    found({})
    assert check_new_users() == []


@pytest.mark.django_db  # later releases of Django ask the database too
def test_check_command_runs_them_and_fails(settings: Any) -> None:
    call_command("check", databases=["default"])
    settings.PKCE_AUTH = {**FINE, "ISUER": "x"}
    with pytest.raises(CommandError, match=r"pkce_auth\.E002"):
        call_command("check", databases=["default"])
