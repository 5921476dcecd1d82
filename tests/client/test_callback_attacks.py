"""What an attacker, or a broken provider, can put into the callback."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from django_pkce_auth import discovery
from django_pkce_auth.client import flow
from django_pkce_auth.client.models import ConnectAttempt, Connection
from django_pkce_auth.encryption import Unreadable
from django_pkce_auth.fields import EncryptedTextField
from tests.client.acme import CODE, Acme, as_json, begin, come_back, connect

COOKIE = "__Host-pkce_auth"
METADATA_URL = "https://acme.example/.well-known/oauth-authorization-server"
MARK = "UNMISTAKABLE"


def refused(response: Any, status: int = 400) -> str:
    assert response.status_code == status, response.content
    page = response.content.decode()
    assert "Not connected" in page
    assert not Connection.objects.exists()
    return page


@pytest.fixture
def acme_sends_iss(pkce_auth: Any, acme: Acme) -> None:
    """Acme by its issuer alone; its metadata says that every answer names it."""
    pkce_auth.provider(authorize_url=None, token_url=None)
    acme.answers[METADATA_URL] = as_json(
        {
            "issuer": "https://acme.example",
            "authorization_endpoint": "https://acme.example/oauth/authorize",
            "token_endpoint": "https://acme.example/oauth/token",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.example",
        "https://acme.example/",
        "HTTPS://ACME.EXAMPLE",
        "https://acme.example:443",
        "acme.example",
        "null",
    ],
)
@pytest.mark.parametrize("kind", ["code", "error"])
def test_wrong_iss_is_refused_and_burns_nothing_rfc9207_2_4(
    iss: str, kind: str, signed_in: Browser, acme: Acme, log: Any
) -> None:
    state = begin(signed_in)["state"]
    answer = {"code": CODE} if kind == "code" else {"error": MARK, "error_description": MARK}
    page = refused(come_back(signed_in, state=state, iss=iss, **answer))
    assert MARK not in page
    assert "evil" not in page
    assert log.reasons == ["the answer names another issuer than https://acme.example"]
    assert MARK not in log.text
    assert not acme.asked()
    assert come_back(signed_in, state=state, code=CODE, iss="https://acme.example").status_code == 302


def test_missing_iss_of_a_provider_that_always_sends_it_is_refused(
    signed_in: Browser, acme_sends_iss: None, acme: Acme, log: Any
) -> None:
    state = begin(signed_in)["state"]
    refused(come_back(signed_in, state=state, code=CODE))
    refused(come_back(signed_in, state=state, code=CODE, iss=""))
    assert log.reasons[0] == "the answer names no issuer"
    assert not acme.asked()
    assert come_back(signed_in, state=state, code=CODE, iss="https://acme.example").status_code == 302


def test_metadata_is_read_again_where_this_process_has_none(
    signed_in: Browser, acme_sends_iss: None, acme: Acme
) -> None:
    state = begin(signed_in)["state"]
    discovery._documents.clear()
    assert come_back(signed_in, state=state, code=CODE, iss="https://acme.example").status_code == 302
    assert len(acme.asked(METADATA_URL)) == 2


def test_iss_is_checked_before_state(signed_in: Browser, log: Any) -> None:
    refused(come_back(signed_in, code=CODE, state="unknown", iss="https://evil.example"))
    assert "another issuer" in log.text


def test_missing_iss_is_accepted_where_the_provider_never_said_that_it_sends_one(signed_in: Browser) -> None:
    assert connect(signed_in).status_code == 302


def test_answer_meant_for_another_provider_is_refused_rfc9700(signed_in: Browser, pkce_auth: Any, acme: Acme) -> None:
    pkce_auth.provider(
        "evil",
        authorize_url="https://evil.example/authorize",
        token_url="https://evil.example/token",
        client_id="us-at-evil",
    )
    # The attacker's server sends the browser on to Acme, hoping that the code ends at its own token endpoint.
    to_evil, to_acme = begin(signed_in, provider="evil")["state"], begin(signed_in)["state"]
    refused(come_back(signed_in, provider="acme", code=CODE, state=to_evil))
    refused(come_back(signed_in, provider="evil", code=CODE, state=to_acme))
    assert not acme.sent


def test_issuer_that_changed_in_the_settings_is_refused(
    signed_in: Browser, pkce_auth: Any, acme: Acme, log: Any
) -> None:
    state = begin(signed_in)["state"]
    pkce_auth.provider(issuer="https://moved.example")
    refused(come_back(signed_in, code=CODE, state=state))
    assert not acme.asked()
    assert log.reasons == ["the attempt was begun for another issuer than the settings name now"]


@pytest.mark.parametrize("change", ["missing", "empty", "cut", "longer", "other case", "invented"])
def test_state_that_is_not_the_very_same_is_refused(change: str, signed_in: Browser, acme: Acme, log: Any) -> None:
    state = begin(signed_in)["state"]
    altered = {
        "empty": "",
        "cut": state[:-1],
        "longer": state + "A",
        "other case": state.swapcase(),
        "invented": "x" * 43,
    }
    answer = {} if change == "missing" else {"state": altered[change]}
    refused(come_back(signed_in, code=CODE, **answer))
    assert "state" in log.text
    assert state not in log.text
    assert not acme.asked()


def test_denied_at_the_provider_is_a_friendly_page_rfc6749_4_1_2_1(signed_in: Browser, acme: Acme) -> None:
    state = begin(signed_in)["state"]
    answer = {"error": "access_denied", "error_description": MARK, "error_uri": f"https://acme.example/{MARK}"}
    page = refused(come_back(signed_in, state=state, **answer), status=200)
    assert "You did not allow access" in page
    assert MARK not in page
    assert not acme.asked()


@pytest.mark.parametrize("error", ["server_error", "invalid_scope", "<script>alert(1)</script>", MARK])
def test_error_of_the_provider_is_logged_and_never_shown(error: str, signed_in: Browser, log: Any) -> None:
    state = begin(signed_in)["state"]
    page = refused(come_back(signed_in, state=state, error=error, error_description=f"call {MARK} now"))
    assert MARK not in page
    assert "script" not in page
    assert f"call {MARK} now" in log.text


def test_error_without_a_description_is_logged_by_its_code(signed_in: Browser, log: Any) -> None:
    refused(come_back(signed_in, state=begin(signed_in)["state"], error="server_error"))
    assert log.reasons == ["server_error"]


def test_error_without_a_known_state_shows_and_logs_none_of_it(signed_in: Browser, log: Any) -> None:
    page = refused(come_back(signed_in, state="forged", error="server_error", error_description=MARK))
    assert MARK not in page
    assert MARK not in log.text


def test_secrets_that_the_answer_repeats_are_not_logged(signed_in: Browser, log: Any) -> None:
    state = begin(signed_in)["state"]
    refused(come_back(signed_in, state=state, error="server_error", error_description=f"bad state {state}!"))
    assert "bad state ...!" in log.text
    assert state not in log.text


MALFORMED = [
    "",
    "code=a&code=b&state=s",
    "code=a&state=s&state=t",
    "code=a&error=access_denied&state=s",
    "state=s",
    "code=&state=s",
    "code=%00&state=s",
    "code=a&state=%00",
    "code=%ff%fe&state=s",
    "code=%zz&state=s",
    "code=a&state=%",
    "code=%E2%98%83&state=s",
    "code=a&state=%E2%98%83",
    "code=a&state=s&iss=%0d%0aSet-Cookie:a=b",
    "code=" + "a" * 5_000 + "&state=s",
    "code=a&state=" + "s" * 20_000,
    "&".join(f"p{number}=1" for number in range(100)),
    "code[]=a&state[$ne]=1",
    "error=" + "x" * 4_000 + "&state=s",
    "error=%22%5c%E2%98%83&state=s",
]


@pytest.mark.parametrize("query", MALFORMED)
@pytest.mark.parametrize("visitor", ["signed in", "anonymous"])
def test_malformed_answer_is_a_400_page(query: str, visitor: str, signed_in: Browser, acme: Acme) -> None:
    browser = signed_in if visitor == "signed in" else Browser()
    begin(browser, login=visitor == "anonymous")
    refused(browser.get("/connect/acme/callback", QUERY_STRING=query))
    assert not acme.asked()
    assert ConnectAttempt.objects.get().taken_at is None


def test_raw_bytes_in_the_query_are_a_400_page(signed_in: Browser) -> None:
    refused(signed_in.get("/connect/acme/callback", QUERY_STRING="code=\xe9\xff&state=s"))


@pytest.mark.parametrize("method", ["head", "post", "put", "delete"])
def test_only_get_takes_an_attempt(method: str, signed_in: Browser) -> None:
    state = begin(signed_in)["state"]
    url = "/connect/acme/callback?" + urlencode({"code": CODE, "state": state})
    assert getattr(signed_in, method)(url).status_code == 405
    assert ConnectAttempt.objects.get().taken_at is None


def test_callback_of_an_attackers_attempt_does_nothing_in_the_victims_browser(alice: Any, bob: Any, acme: Acme) -> None:
    """Log-in CSRF: the attacker's code and state, opened by the victim (RFC 9700 §4.7)."""
    attacker, victim = Browser(), Browser()
    state = begin(attacker, login=True)["state"]
    begin(victim, login=True)
    refused(come_back(victim, code=CODE, state=state))
    assert "_auth_user_id" not in victim.session
    assert not acme.asked()


def _planted(value: str) -> list[str]:
    genuine = "g" * 43
    return [
        # Browsers hold no cookie of these names to the rules of __Host-; Django would read them as ours.
        f"\u2000{COOKIE}={value}".encode().decode("latin-1"),
        f"\u00a0{COOKIE}={value}".encode().decode("latin-1"),
        f"\x0b{COOKIE}={value}",
        # Two of one name: __Host- allows one path only, so one of them is not the browser's.
        f"{COOKIE}={genuine}; {COOKIE}={value}",
        f"{COOKIE}={value}; {COOKIE}={genuine}",
        f'{COOKIE}="{value}"',
        f"={COOKIE}={value}",
        f"{COOKIE.lower()}={value}",
    ]


@pytest.mark.parametrize("number", range(len(_planted(""))))
def test_attempt_cookie_that_another_host_planted_is_not_taken(number: int, db: None, acme: Acme, log: Any) -> None:
    attacker = Browser()
    state = begin(attacker, login=True)["state"]
    header = _planted(attacker.cookies[COOKIE].value)[number]
    url = "/connect/acme/callback?" + urlencode({"code": CODE, "state": state})
    refused(Browser().get(url, HTTP_COOKIE=header))
    assert "no attempt cookie" in log.text
    assert not acme.asked()


@pytest.mark.parametrize("value", ["", "short", "v" * 44, "v" * 42 + "!", f'"{"v" * 42}\\012"'])
def test_attempt_cookie_that_we_never_set_is_replaced(value: str, db: None) -> None:
    browser = Browser(headers={"Cookie": f"{COOKIE}={value}"})
    begin(browser, login=True)
    assert "v" * 42 not in browser.cookies[COOKIE].value
    assert len(browser.cookies[COOKIE].value) == 43


def test_verifier_that_no_key_opens_is_never_left_out_of_the_exchange(
    signed_in: Browser, acme: Acme, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    state = begin(signed_in)["state"]
    monkeypatch.setattr(EncryptedTextField, "from_db_value", lambda self, value, *_: value and Unreadable(value))
    refused(come_back(signed_in, code=CODE, state=state))
    assert log.reasons == ["the attempt's verifier can't be decrypted"]
    assert not acme.asked()


def test_reason_in_the_log_holds_no_secret(signed_in: Browser, acme: Acme, log: Any) -> None:
    request = begin(signed_in)
    cookie = signed_in.cookies[COOKIE].value
    come_back(signed_in, code=CODE, state=request["state"])
    come_back(Browser(), code=CODE, state=request["state"])
    (exchange,) = acme.asked()
    assert "no attempt cookie" in log.text
    for secret in (CODE, request["state"], cookie, exchange.form["code_verifier"], "a-secret-that-acme-gave-to-us"):
        assert secret not in log.text


def test_safe_next_counts_the_host_of_the_request_as_ours_only(rf: Any) -> None:
    assert flow.safe_next(rf.get("/"), "http://testserver/a") == "http://testserver/a"
    assert flow.safe_next(rf.get("/", secure=True), "http://testserver/a") == ""


def test_safe_next_takes_2000_characters(rf: Any) -> None:
    longest = "/" + "a" * 1999
    assert flow.safe_next(rf.get("/"), longest) == longest
    assert flow.safe_next(rf.get("/"), longest + "a") == ""
