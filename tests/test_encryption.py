"""The key ring: first encrypts, all decrypt."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from django_pkce_auth.encryption import Unreadable, decrypt, encrypt

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def keys(settings: Any) -> Any:
    def use(*ring: str) -> None:
        settings.PKCE_AUTH = settings.PKCE_AUTH | {"ENCRYPTION_KEYS": list(ring)}

    return use


def test_first_key_encrypts(keys: Any) -> None:
    keys(NEW, OLD)
    assert Fernet(NEW).decrypt(encrypt("clear")) == b"clear"


def test_every_key_decrypts(keys: Any) -> None:
    keys(OLD)
    stored = encrypt("clear")
    keys(NEW, OLD)
    assert decrypt(stored) == "clear"


def test_old_key_can_go_once_all_is_encrypted_anew(keys: Any) -> None:
    keys(OLD)
    stored = encrypt("clear")
    keys(NEW, OLD)
    stored = encrypt(decrypt(stored))
    keys(NEW)
    assert decrypt(stored) == "clear"


def test_same_text_is_encrypted_differently_each_time() -> None:
    assert encrypt("clear") != encrypt("clear")


@pytest.mark.parametrize("clear", ["clear text", "ünï ☃", "t" * 12_000])
def test_text_of_any_length_comes_back(clear: str) -> None:
    assert decrypt(encrypt(clear)) == clear
    assert clear not in encrypt(clear)


@pytest.mark.parametrize("damage", ["other key", "cut", "altered", "empty", "no token", "no ASCII"])
def test_what_no_key_opens_is_unreadable_with_an_error_in_the_log(
    damage: str, keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keys(OTHER)
    foreign = encrypt("clear")
    keys(NEW, OLD)
    own = encrypt("clear")
    stored = {
        "other key": foreign,
        "cut": own[:-8],
        "altered": own[:40] + ("A" if own[40] != "A" else "B") + own[41:],
        "empty": "",
        "no token": "clear",
        "no ASCII": "☃",
    }[damage]
    text = decrypt(stored)
    assert isinstance(text, Unreadable)
    assert text == ""
    assert text.stored == stored
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "ENCRYPTION_KEYS" in caplog.text
    assert not stored or stored not in caplog.text


@pytest.mark.parametrize("call", [encrypt, decrypt])
def test_no_key_at_all_says_how_to_make_one(call: Any, keys: Any) -> None:
    keys()
    with pytest.raises(ImproperlyConfigured, match=r"ENCRYPTION_KEYS.*Fernet\.generate_key"):
        call("x")


@pytest.mark.parametrize("key", ["short", "", "not base64 at all!", "A" * 44 + "=="])
def test_what_is_no_key_is_said_to_be_none_and_not_shown(key: str, keys: Any) -> None:
    keys(NEW, key)
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS") as refused:
        encrypt("x")
    assert not key or key not in str(refused.value)
