"""Providers that are known by their issuer, and what their metadata may say (RFC 8414)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client as Browser

from django_pkce_auth import discovery
from django_pkce_auth.client.errors import ProviderUnavailable
from django_pkce_auth.client.providers import Provider, get_provider
from django_pkce_auth.conf import settings as current_settings
from django_pkce_auth.protocol.token import AuthorizationCodeTokenRequest
from django_pkce_auth.transport import Answer, TransportError
from tests.client.acme import Acme, as_json, begin

ISSUER = "https://acme.example"
RFC8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "code_challenge_methods_supported": ["plain", "S256"],
    "unknown": {"ignored": True},
}


@pytest.fixture(autouse=True)
def issuer_alone(pkce_auth: Any, acme: Acme) -> None:
    pkce_auth.provider(authorize_url=None, token_url=None, userinfo_url=None)
    publish(acme)


def publish(acme: Acme, url: str = ISSUER + RFC8414, **changes: object) -> None:
    members = DOCUMENT | changes
    acme.answers[url] = as_json({name: value for name, value in members.items() if value is not None})


def get(acme: Acme, slug: str = "acme") -> Provider:
    return get_provider(slug, settings=current_settings(), transport=acme)


def test_issuer_alone_is_enough(acme: Acme, alice: Any) -> None:
    provider = get(acme)
    assert provider.authorize_url == f"{ISSUER}/authorize"
    assert provider.token_url == f"{ISSUER}/token"
    assert provider.revoke_url == f"{ISSUER}/revoke"
    assert provider.userinfo_url == f"{ISSUER}/userinfo"
    browser = Browser()
    browser.force_login(alice)
    assert begin(browser)["client_id"] == "us-at-acme"


def test_settings_come_before_the_document(acme: Acme, pkce_auth: Any) -> None:
    pkce_auth.provider(userinfo_url="https://api.acme.example/me", token_url="https://token.acme.example/")
    provider = get(acme)
    assert provider.userinfo_url == "https://api.acme.example/me"
    assert provider.token_url == "https://token.acme.example/"
    assert provider.authorize_url == f"{ISSUER}/authorize"


def test_document_is_fetched_once_an_hour(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        get(acme)
    assert len(acme.sent) == 1
    clock = discovery.time.monotonic()
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: clock + 3601))
    get(acme)
    assert len(acme.sent) == 2


def test_document_that_could_not_be_read_is_asked_for_again_after_a_while(acme: Acme, monkeypatch: Any) -> None:
    monkeypatch.setattr(discovery, "RETRY_SECONDS", 0)
    acme.answers[ISSUER + RFC8414] = TransportError("https://acme.example did not answer: ReadTimeout.")
    with pytest.raises(ProviderUnavailable, match="ReadTimeout"):
        get(acme)
    publish(acme)
    assert get(acme).token_url


def test_document_of_another_issuer_says_which(acme: Acme) -> None:
    publish(acme, issuer=f"{ISSUER}/")
    with pytest.raises(ProviderUnavailable, match=f"^{ISSUER}: .* It names '{ISSUER}/'; the two are compared"):
        get(acme)


def test_endpoint_that_is_none_is_named_without_what_may_be_secret(acme: Acme) -> None:
    publish(acme, token_endpoint="https://us:word@acme.example/no-such?key=word")
    code = AuthorizationCodeTokenRequest(code="x", code_verifier="y", redirect_uri="https://testserver/")
    with pytest.raises(ProviderUnavailable, match=r"endpoint https://acme\.example/no-such answered 404") as caught:
        get(acme).exchange(code, transport=acme)
    assert "word" not in str(caught.value)


def test_dead_server_is_left_alone_for_a_while(acme: Acme) -> None:
    acme.answers[ISSUER + RFC8414] = TransportError("https://acme.example did not answer: ReadTimeout.")
    for _ in range(5):
        with pytest.raises(ProviderUnavailable, match="ReadTimeout"):
            get(acme)
    assert len(acme.sent) == 1


def test_old_document_serves_while_the_server_is_down(acme: Acme) -> None:
    publish(acme)
    before = get(acme)
    for document in discovery._documents.values():
        document.until = 0.0
    acme.answers[ISSUER + RFC8414] = TransportError("https://acme.example did not answer: ReadTimeout.")
    assert get(acme) == before


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 3600), ("max-age=600", 600), ("public, max-age=0", 60), ("MAX-AGE=999999999", 86400), ("s-maxage=9", 3600)],
)
def test_document_is_kept_for_its_http_lifetime(header: str, seconds: int) -> None:
    answer = Answer(200, b"{}", {"cache-control": header} if header else {})
    assert discovery.lifetime(answer) == seconds


@pytest.mark.parametrize(
    ("age", "seconds"), [("0", 3600), ("3000", 600), ("3599", 60), ("999999999", 60), ("-5", 3600), ("²", 3600)]
)
def test_time_that_a_document_spent_in_a_cache_on_the_way_counts(age: str, seconds: int) -> None:
    """A key that the issuer withdrew would serve for twice as long behind a CDN."""
    assert discovery.lifetime(Answer(200, b"{}", {"cache-control": "public, max-age=3600", "age": age})) == seconds


@pytest.mark.parametrize("issuer", ["https://evil.example", f"{ISSUER}/", "https://ACME.example", None, 1, [ISSUER]])
def test_document_of_another_issuer_is_refused_rfc8414_3_3(issuer: object, acme: Acme) -> None:
    publish(acme, issuer=issuer)
    publish(acme, ISSUER + OPENID)
    with pytest.raises(ProviderUnavailable, match="another issuer"):
        get(acme)


@pytest.mark.parametrize("methods", [None, [], ["plain"], "S256", ["s256"], [None]])
def test_document_without_s256_is_refused_unless_the_provider_rejects_pkce(
    methods: object, acme: Acme, pkce_auth: Any
) -> None:
    publish(acme, code_challenge_methods_supported=methods)
    with pytest.raises(ProviderUnavailable, match="S256"):
        get(acme)
    pkce_auth.provider(rejects_pkce=True)
    assert get(acme).token_url
    pkce_auth.provider(rejects_pkce=None)
    with pytest.raises(ProviderUnavailable, match="S256"):
        get(acme)


def test_places_of_an_issuer_with_a_path_are_tried_in_order(acme: Acme, pkce_auth: Any) -> None:
    issuer = f"{ISSUER}/tenant/a"
    pkce_auth.provider(issuer=issuer)
    places = [f"{ISSUER}{RFC8414}/tenant/a", f"{ISSUER}{OPENID}/tenant/a", f"{ISSUER}/tenant/a{OPENID}"]
    del acme.answers[ISSUER + RFC8414]
    with pytest.raises(ProviderUnavailable, match="publishes no metadata"):
        get(acme)
    assert [request.url for request in acme.sent] == places
    for count, place in reversed(list(enumerate(places, start=1))):
        acme.sent.clear()
        discovery._documents.clear()
        publish(acme, place, issuer=issuer)
        assert get(acme).token_url
        assert [request.url for request in acme.sent] == places[:count]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b""),
        Answer(200, b"<!doctype html><title>Home</title>"),
        Answer(200, b"[]"),
        Answer(301, b"", {"location": "https://evil.example/metadata"}),
        Answer(403, b"{}"),
    ],
)
def test_place_that_holds_no_document_is_passed_over(answer: Answer, acme: Acme) -> None:
    acme.answers[ISSUER + RFC8414] = answer
    publish(acme, ISSUER + OPENID)
    assert get(acme).token_url == f"{ISSUER}/token"


ADDRESSES = [
    "http://acme.example/token",
    "http://127.0.0.1:8000/token",
    "https://127.0.0.1/token",
    "https://localhost/token",
    "https://[::1]/token",
    "https://acme.example/token\r\nX-Evil: 1",
    "https://acme.example/t ken",
    "https://acme.example/tökén",
    "https://acme.example/#token",
    "https://[acme.example/token",
    "javascript:alert(1)",
    "//acme.example/token",
    "/token",
    "",
    7,
]


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "userinfo_endpoint"]
)
@pytest.mark.parametrize("address", ADDRESSES)
def test_document_can_not_send_us_to_an_address_that_settings_could_not_name(
    name: str, address: object, acme: Acme
) -> None:
    publish(acme, **{name: address})
    with pytest.raises(ProviderUnavailable, match=f"no usable {name}"):
        get(acme)


@pytest.mark.parametrize("issuer", ["http://localhost:8000", "http://127.0.0.1:8000", "https://localhost:8000"])
def test_server_on_this_host_may_name_endpoints_on_this_host(issuer: str, acme: Acme, pkce_auth: Any) -> None:
    pkce_auth.provider(issuer=issuer)
    changes = {name: f"{issuer}/x" for name in DOCUMENT if name.endswith("_endpoint")}
    publish(acme, issuer + RFC8414, issuer=issuer, **changes)
    assert get(acme).token_url == f"{issuer}/x"


def test_repr_of_a_provider_shows_no_secret(acme: Acme) -> None:
    assert "a-secret-that-acme-gave-to-us" not in repr(get(acme))
