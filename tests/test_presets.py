"""Well-known providers as data."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pkce_auth.presets import PRESETS
from django_pkce_auth.provider_settings import parse_provider


@pytest.mark.parametrize("name", PRESETS)
def test_preset_needs_a_client_and_nothing_else(name: str) -> None:
    entry = parse_provider("here", {"preset": name, "client_id": "us", "client_secret": "s"})
    assert entry.client_id == "us"
    assert entry.issuer or entry.authorize_url
    assert not entry.rejects_pkce
    urls = (entry.issuer, entry.authorize_url, entry.token_url, entry.userinfo_url, entry.api_base_url)
    assert all(url.startswith("https://") for url in urls if url)


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
