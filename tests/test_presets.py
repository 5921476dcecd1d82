"""Well-known providers as data."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pkce_auth.client.policy import Account, ClientPolicy
from django_pkce_auth.client.providers import Provider
from django_pkce_auth.presets import PRESETS
from django_pkce_auth.provider_settings import parse_provider


@pytest.mark.parametrize("name", PRESETS)
def test_preset_needs_a_client_and_nothing_else(name: str) -> None:
    entry = parse_provider("here", {"preset": name, "client_id": "us", "client_secret": "s"})
    assert entry.client_id == "us"
    assert entry.issuer or entry.authorize_url
    # The one that is known to.
    assert entry.rejects_pkce == (name == "slack")
    urls = (entry.issuer, entry.authorize_url, entry.token_url, entry.userinfo_url, entry.api_base_url)
    assert all(url.startswith("https://") for url in urls if url)


# What their documentation shows, shortened.
USERINFO: dict[str, tuple[dict[str, Any], Account]] = {
    "google": (
        {"sub": "110", "name": "Ada L", "email": "ada@example.com", "picture": "https://google.example/a.png"},
        Account("110", "Ada L", "https://google.example/a.png"),
    ),
    "github": (
        {"login": "ada", "id": 1, "avatar_url": "https://github.example/a.gif", "name": "Ada L", "email": None},
        Account("1", "ada", "https://github.example/a.gif"),
    ),
    "gitlab": ({"sub": "1", "name": "Ada L", "nickname": "ada"}, Account("1", "ada")),
    "microsoft": ({"sub": "AAA", "name": "Ada L", "picture": ""}, Account("AAA", "Ada L")),
    "discord": (
        {"id": "80351110224678912", "username": "ada", "global_name": "Ada L", "avatar": "8342729"},
        Account("80351110224678912", "ada"),
    ),
    "slack": ({"ok": True, "sub": "U0R7JM", "name": "ada"}, Account("U0R7JM", "ada")),
    "spotify": ({"id": "ada42", "display_name": "Ada L", "images": [{"url": "https://x"}]}, Account("ada42", "Ada L")),
}


@pytest.mark.parametrize("name", USERINFO)
def test_account_of_a_preset_can_be_told_from_others(name: str) -> None:
    entry = parse_provider("here", {"preset": name, "client_id": "us"})
    provider = Provider(settings=entry, authorize_url="", token_url="")
    userinfo, account = USERINFO[name]
    assert ClientPolicy().account(provider, userinfo) == account


def test_own_entry_goes_over_the_preset() -> None:
    own: dict[str, Any] = {"preset": "gitlab", "client_id": "us", "issuer": "https://git.example", "scopes": ["api"]}
    entry = parse_provider("here", own)
    assert (entry.issuer, entry.scopes, entry.display_name) == ("https://git.example", ("api",), "GitLab")


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ImproperlyConfigured, match="did you mean 'github'"):
        parse_provider("here", {"preset": "git-hub", "client_id": "us"})


def test_entry_without_a_preset_must_say_where_the_provider_is() -> None:
    with pytest.raises(ImproperlyConfigured, match="needs 'issuer'"):
        parse_provider("here", {"preset": "", "client_id": "us"})
