"""``PKCE_AUTH``: read live, typed, and refused with the mend in the message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pkce_auth import conf

LEAST = {"ISSUER": "https://example.com"}
ACME = {"issuer": "https://acme.example", "client_id": "us"}


def test_least_settings_have_safe_defaults() -> None:
    settings = conf.parse(LEAST)
    assert settings.authorization_code_lifetime == timedelta(seconds=60)
    assert settings.access_token_lifetime == timedelta(hours=1)
    assert settings.refresh_token_lifetime == timedelta(days=30)
    assert settings.authorization_lifetime is None
    assert not settings.scopes
    assert not settings.providers
    assert settings.encryption_keys == ()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "missing or no dict"),
        ("https://example.com", "missing or no dict"),
        ({}, "'ISSUER'] is missing"),
        ({"ISSUER": None}, "'ISSUER'] is missing"),
        ({"ISSUER": b"https://example.com"}, "'ISSUER'] is missing"),
        ({"ISSUER": ""}, "no http(s) URL with a host"),
        ({"ISSUER": "example.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "ftp://example.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://["}, "no http(s) URL with a host"),
        ({"ISSUER": "https://example.com:x"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://user@example.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://:word@example.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://exa mple.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://example.com\n"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://ex\u00e4mple.com"}, "no http(s) URL with a host"),
        ({"ISSUER": "https://example.com/"}, "ends in a slash"),
        ({"ISSUER": "https://example.com?x"}, "a query or a fragment"),
        ({"ISSUER": "https://example.com#x"}, "a query or a fragment"),
        ({**LEAST, "SCOPES": ["read"]}, "'SCOPES'] is a list, not a dict"),
        ({**LEAST, "PROVIDERS": "acme"}, "'PROVIDERS'] is a str, not a dict"),
        ({**LEAST, "ENCRYPTION_KEYS": "key"}, "even a single key stands in a list"),
        ({**LEAST, "ENCRYPTION_KEYS": None}, "even a single key stands in a list"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": 0}, "a number of seconds above 0"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": -1}, "a number of seconds above 0"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": "3600"}, "a number of seconds above 0"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": None}, "a number of seconds above 0"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": True}, "a number of seconds above 0"),
        ({**LEAST, "ACCESS_TOKEN_LIFETIME": float("nan")}, "a number of seconds above 0"),
        ({**LEAST, "AUTHORIZATION_LIFETIME": timedelta(0)}, "a number of seconds above 0"),
        ({**LEAST, "AUDIT": "False"}, "'AUDIT'] is 'False'; it takes True or False, and text is neither"),
        ({**LEAST, "AUDIT": 1}, "it takes True or False"),
        ({**LEAST, "REFRESH_TOKEN_LIFETIME": 10**12}, "a number of seconds above 0"),
    ],
)
def test_setting_that_cannot_be_used_says_how_to_mend_it(raw: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        conf.parse(raw)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("slug", "entry", "words"),
    [
        ("a b", ACME, "part of its URL"),
        ("", ACME, "part of its URL"),
        ("\u00e4", ACME, "part of its URL"),
        ("a/b", ACME, "part of its URL"),
        (1, ACME, "part of its URL"),
        ("x" * 65, ACME, "at most 64 characters"),
        ("acme", "https://acme.example", "is no dict"),
        ("acme", {**ACME, "clientid": "x"}, "unknown key 'clientid'"),
        ("acme", {**ACME, 1: "x"}, "unknown key '1'"),
        ("acme", {"issuer": "https://acme.example"}, "has no 'client_id'"),
        ("acme", {"client_id": "us"}, "needs 'issuer', or 'authorize_url' and 'token_url'"),
        ("acme", {"client_id": "us", "authorize_url": "https://a.example/"}, "needs 'issuer'"),
        ("acme", {**ACME, "issuer": "http://acme.example"}, "use https://"),
        ("acme", {**ACME, "token_url": "acme.example/token"}, "use https://"),
        ("acme", {**ACME, "token_url": "https://["}, "use https://"),
        ("acme", {**ACME, "token_url": "http://["}, "use https://"),
        ("acme", {**ACME, "token_url": "http://127.0.0.1@evil.example/"}, "use https://"),
        ("acme", {**ACME, "token_url": 5}, "'token_url'] is a int, not a string"),
        ("acme", {**ACME, "client_secret": b"x"}, "'client_secret'] is a bytes, not a string"),
        ("acme", {**ACME, "scopes": "read write"}, "make it a list"),
        ("acme", {**ACME, "scopes": ["read write"]}, "can't be a scope"),
        ("acme", {**ACME, "scopes": [None]}, "can't be a scope"),
        ("acme", {**ACME, "scopes": 5}, "can't be a scope"),
        ("acme", {"preset": ["github"], "client_id": "us"}, "'preset'] is ['github']; did you mean 'github'?"),
        ("acme", {**ACME, "login": "False"}, "'login'] is 'False'; it takes True or False"),
        ("acme", {**ACME, "create_users": 1}, "'create_users'] is 1; it takes True or False"),
        ("acme", {**ACME, "rejects_pkce": "false"}, "'rejects_pkce'] is 'false'; it takes True or False"),
        ("acme", {**ACME, "client_authentication": "basic"}, "known are client_secret_basic"),
        ("acme", {**ACME, "extra_authorize_parameters": "prompt=consent"}, "is no dict"),
        ("acme", {**ACME, "extra_authorize_parameters": {"max_age": 0}}, "'max_age': 0; both must be printable"),
        ("acme", {**ACME, "extra_authorize_parameters": {"prompt": "\ud800"}}, "both must be printable strings"),
        ("acme", {**ACME, "extra_authorize_parameters": {1: "1"}}, "1: '1'; both must be printable"),
    ],
)
def test_provider_that_cannot_be_used_says_how_to_mend_it(slug: Any, entry: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        conf.parse({**LEAST, "PROVIDERS": {slug: entry}})
    assert words in str(refused.value)
    assert repr(slug) in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "localhost:8000"])
def test_loopback_provider_may_be_plain_http(host: str) -> None:
    entry = {**ACME, "issuer": f"http://{host}"}
    assert conf.parse({**LEAST, "PROVIDERS": {"acme": entry}}).providers["acme"].issuer == f"http://{host}"


def test_provider_takes_none_for_left_out() -> None:
    entry = {**ACME, "client_secret": None, "scopes": None, "token_url": None, "client_authentication": None}
    provider = conf.parse({**LEAST, "PROVIDERS": {"acme": entry}}).providers["acme"]
    assert (provider.client_secret, provider.scopes, provider.token_url) == ("", (), "")


@pytest.mark.parametrize(
    ("entry", "name"), [({}, "Photo Print"), ({"name": "Photos, printed"}, "Photos, printed")], ids=["slug", "name"]
)
def test_provider_has_a_name_for_people(entry: dict[str, str], name: str) -> None:
    providers = conf.parse({**LEAST, "PROVIDERS": {"photo-print": {**ACME, **entry}}}).providers
    assert providers["photo-print"].display_name == name


@pytest.mark.parametrize(("given", "lifetime"), [(90, 90), (1.5, 1.5), (timedelta(minutes=2), 120)])
def test_lifetime_is_seconds_or_timedelta(given: Any, lifetime: float) -> None:
    settings = conf.parse({**LEAST, "ACCESS_TOKEN_LIFETIME": given, "AUTHORIZATION_LIFETIME": given})
    assert settings.access_token_lifetime == settings.authorization_lifetime == timedelta(seconds=lifetime)


def test_settings_are_read_live(settings: Any) -> None:
    settings.PKCE_AUTH = {"ISSUER": "https://one.example"}
    assert conf.settings().issuer == "https://one.example"
    assert conf.settings() is conf.settings()
    settings.PKCE_AUTH = {"ISSUER": "https://two.example"}
    assert conf.settings().issuer == "https://two.example"


def test_repr_shows_no_secret() -> None:
    raw = {
        **LEAST,
        "ENCRYPTION_KEYS": ["the-encryption-key"],
        "PROVIDERS": {"acme": {**ACME, "client_secret": "the-client-secret"}},
    }
    shown = repr(conf.parse(raw))
    assert "https://example.com" in shown
    assert "the-encryption-key" not in shown
    assert "the-client-secret" not in shown


@pytest.mark.parametrize("issuer", ["https://example.com", "https://example.com:8443", "https://example.com/tenant/1"])
def test_absolute_urls_come_from_the_issuer(issuer: str) -> None:
    origin = issuer.removesuffix("/tenant/1")
    assert conf.parse({"ISSUER": issuer}).absolute("/oauth/token") == f"{origin}/oauth/token"


KEYS_ASKED_FOR: list[int] = []
VAULT_KEY = "zrt9ZbTGWmAhhQ-HWcOcHKQzrIM3d2LZ6Mr0nYpYVcU="


def keys_of_the_vault() -> list[str]:
    KEYS_ASKED_FOR.append(1)
    return [VAULT_KEY]


def vault_that_is_down() -> list[str]:
    raise ConnectionError(f"no answer for {VAULT_KEY}")


@pytest.mark.parametrize("function", [keys_of_the_vault, "tests.test_conf.keys_of_the_vault"])
def test_keys_from_a_function_are_asked_for_once(function: Any, settings: Any) -> None:
    KEYS_ASKED_FOR.clear()
    settings.PKCE_AUTH = {**LEAST, "ENCRYPTION_KEYS": function}
    assert [conf.settings().encryption_keys for _ in range(3)] == [(VAULT_KEY,)] * 3
    assert len(KEYS_ASKED_FOR) == 1
    assert VAULT_KEY not in repr(conf.settings())


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (vault_that_is_down, "ConnectionError"),
        ("tests.test_conf.vault_that_is_down", "ConnectionError"),
        ("tests.test_conf.nothing", "ImportError"),
        ("nowhere.keys", "ModuleNotFoundError"),
        (lambda: VAULT_KEY, "no list"),
        (lambda: None, "no list"),
    ],
)
def test_function_that_gives_no_keys_is_told_without_a_key(function: Any, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=why) as refused:
        conf.parse({**LEAST, "ENCRYPTION_KEYS": function})
    assert VAULT_KEY not in str(refused.value)
    assert refused.value.__cause__ is None
