"""The claims of an access token that is a JWT (RFC 9068 §2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from django_pkce_auth.protocol.jwt_access_token import access_token_claims


def claims(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "issuer": "https://as.example",
        "subject": "7",
        "client_id": "app",
        "audience": ("https://api.example",),
        "scopes": ("read", "write"),
        "token_id": "id",
        "issued_at": 1,
        "expires_at": 61,
    }
    return access_token_claims(**(given | changes))


def test_claims_are_those_that_the_rfc_demands_and_no_others_rfc9068_2_2() -> None:
    assert claims() == {
        "iss": "https://as.example",
        "sub": "7",
        "aud": "https://api.example",
        "client_id": "app",
        "scope": "read write",
        "iat": 1,
        "exp": 61,
        "jti": "id",
    }


@pytest.mark.parametrize(("subject", "shown"), [(None, "app"), ("", ""), ("7", "7")])
def test_client_that_acts_for_itself_is_the_subject(subject: str | None, shown: str) -> None:
    assert claims(subject=subject)["sub"] == shown


@pytest.mark.parametrize(
    ("audience", "shown"), [(("https://a.example", "https://b.example"), ["https://a.example", "https://b.example"])]
)
def test_several_resources_are_a_list(audience: tuple[str, ...], shown: list[str]) -> None:
    assert claims(audience=audience)["aud"] == shown
