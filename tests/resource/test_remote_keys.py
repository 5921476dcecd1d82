"""Forged headers and claims, and an issuer that is slow or gone, against the guard by published keys (RFC 7515)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from joserfc.jwk import ECKey

from django_pkce_auth import discovery
from tests.resource.issuer import KEYS, Issuer
from tests.resource.test_remote_jwks import call, later, refused, use

HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": "ES256"}


@pytest.fixture(autouse=True)
def remote(issuer: Issuer) -> Iterator[None]:
    with use(issuer):
        yield


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: bytes, **header: Any) -> str:
    """Return the bytes under a signature that is genuine, whatever the header says."""
    text = f"{encoded(json.dumps(HEADER | header).encode())}.{encoded(payload)}"
    der = KEYS["ES256"].get_op_key("sign").sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    numbers = utils.decode_dss_signature(der)
    return f"{text}.{encoded(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def test_genuine_token_is_let_in(issuer: Issuer) -> None:
    assert call(signed(json.dumps(issuer.claims()).encode())).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": "x"},
        {"crit": None},
        {"b64": False},
        {"kid": ["ES256"]},
        {"alg": ["ES256"]},
        {"alg": None},
        {"alg": "es256"},
        {"typ": "at+jwt "},
        {"typ": ["at+jwt"]},
    ],
)
def test_header_that_is_not_understood_is_refused_rfc7515_4_1_11(issuer: Issuer, header: dict[str, Any]) -> None:
    assert refused(signed(json.dumps(issuer.claims()).encode(), **header))


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk"])
def test_key_that_the_token_brings_is_not_looked_at_rfc8725_3_10(issuer: Issuer, name: str) -> None:
    stranger = ECKey.generate_key("P-256")
    value = stranger.as_dict(private=False) if name == "jwk" else f"{issuer.url}/theirs"
    issuer.answers["/theirs"] = (200, {"keys": [stranger.as_dict(private=False) | {"kid": "ES256"}]})
    assert refused(issuer.sign(key=stranger, header={name: value}))
    assert set(issuer.asked) == {"/.well-known/oauth-authorization-server", "/jwks"}


@pytest.mark.parametrize("payload", [b"[]", b"1", b"null", b'"x"', b"{", b"\xff", b'{"iss": NaN}', b"{}", b""])
def test_payload_that_is_no_set_of_claims_is_refused(issuer: Issuer, payload: bytes) -> None:
    assert refused(signed(payload))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1e308},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": 10**30},
        {"exp": [1]},
        {"nbf": "x"},
        {"aud": {"https://testserver": 1}},
        {"aud": []},
        {"aud": [["https://testserver"]]},
        {"aud": "https://testserver/"},
        {"aud": "HTTPS://testserver"},
        {"scope": ["read"]},
        {"scope": "read\n"},
        {"client_id": 7},
        {"iss": ["x"]},
    ],
)
def test_claim_of_another_type_is_refused(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert refused(signed(json.dumps(issuer.claims() | changes).encode()))


def test_token_with_more_or_less_around_it_is_refused(issuer: Issuer) -> None:
    token = issuer.sign()
    for changed in (f"{token}=", f"{token}.", f"{token}.x", f".{token}", token[:-1], f"{token}A"):
        assert refused(changed)


def slow_down(issuer: Issuer, monkeypatch: pytest.MonkeyPatch, wait: Callable[[], object]) -> None:
    answer = issuer.answer

    def slowly(*request: Any) -> Any:
        wait()
        return answer(*request)

    monkeypatch.setattr(issuer, "answer", slowly)


def at_once(tokens: list[str]) -> list[int]:
    with ThreadPoolExecutor(len(tokens)) as threads:
        return [answer.status_code for answer in threads.map(call, tokens)]


def test_flood_of_unknown_keys_is_one_question_and_keeps_nobody_waiting(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = issuer.sign()
    assert call(good).status_code == 200
    later(monkeypatch, discovery.RETRY_SECONDS + 1)
    monkeypatch.setattr(discovery, "RENEWAL_WAIT_SECONDS", 0.05)
    go_on = Event()
    slow_down(issuer, monkeypatch, lambda: go_on.wait(4))
    with ThreadPoolExecutor(16) as threads:
        flood = [threads.submit(call, issuer.sign(header={"kid": f"made-up-{number}"})) for number in range(15)]
        assert threads.submit(call, good).result().status_code == 200
        assert sum(not each.done() for each in flood) >= 1, "it waited until the issuer had answered"
        go_on.set()
        statuses = sorted(each.result().status_code for each in flood)
    assert set(statuses) <= {401, 503}
    assert 401 in statuses
    assert issuer.asked.count("/jwks") == 2


def test_key_that_is_new_is_fetched_once_for_all_who_wait(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer.keys = [issuer.public("RS256")]
    assert call(issuer.sign("RS256")).status_code == 200
    later(monkeypatch, discovery.RETRY_SECONDS + 1)
    monkeypatch.setattr(discovery, "RENEWAL_WAIT_SECONDS", 20)
    issuer.keys.append(issuer.public("ES256"))
    slow_down(issuer, monkeypatch, lambda: time.sleep(0.1))
    assert at_once([issuer.sign()] * 12) == [200] * 12
    assert issuer.asked.count("/jwks") == 2


def test_first_tokens_wait_for_one_question(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(issuer, monkeypatch, lambda: time.sleep(0.1))
    assert at_once([issuer.sign()] * 12) == [200] * 12
    assert issuer.asked.count("/jwks") == 1


def test_kept_keys_serve_all_but_one_while_they_are_renewed(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    good = issuer.sign()
    assert call(good).status_code == 200
    later(monkeypatch, discovery.USUAL_SECONDS + 1)
    slow_down(issuer, monkeypatch, lambda: time.sleep(0.3))
    assert at_once([good] * 12) == [200] * 12
    assert issuer.asked.count("/jwks") == 2


def test_kept_keys_do_not_serve_for_ever(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    token = issuer.sign(exp=int(time.time()) + 10**6)
    assert call(token).status_code == 200
    issuer.answers["/jwks"] = (500, {})
    later(monkeypatch, discovery.USUAL_SECONDS + 1)
    assert call(token).status_code == 200
    later(monkeypatch, discovery.MAX_SECONDS - discovery.USUAL_SECONDS)
    assert call(token).status_code == 200
    later(monkeypatch, discovery.USUAL_SECONDS)
    assert call(token).status_code == 503


@pytest.mark.parametrize(
    "body", [b'{"keys": [' + b" " * 2**20 + b"]}", b"[" * 100_000, b'{"keys": [1e999, "", {}, []]}']
)
def test_key_set_that_is_huge_or_odd_is_no_error(issuer: Issuer, body: bytes) -> None:
    issuer.answers["/jwks"] = (200, body)
    assert call(issuer.sign()).status_code in (401, 503)


@pytest.mark.parametrize(
    ("said", "header", "changes"),
    [
        ("is it an ID token", {"typ": "JWT"}, {}),
        ("publishes no such key", {"kid": "other"}, {}),
        ("not signed by that key", {"kid": "EdDSA"}, {}),
        ("has expired", {}, {"exp": 1}),
        ("do the clocks differ", {}, {"nbf": 10**10}),
        ("its issuer is another", {}, {"iss": "https://other.example"}),
        ("no audience", {}, {"aud": []}),
        ("is for ('https://other.example',), and was sent to https://testserver", {}, {"aud": "https://other.example"}),
        ("scope is malformed", {}, {"scope": "a  \u00e9"}),
    ],
)
def test_log_says_why_and_the_answer_does_not_pain_18(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, said: str, header: dict[str, Any], changes: dict[str, Any]
) -> None:
    token = signed(json.dumps(issuer.claims() | changes).encode(), **header)
    with caplog.at_level("INFO", "django_pkce_auth.resource"):
        assert refused(token)
    assert said in caplog.text
    assert token not in caplog.text
