"""Each flow, and exactly what it tells: the signals in their order, with their facts, in real transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client as Browser

from django_pkce_auth import signals
from django_pkce_auth.protocol.device import DEVICE_CODE
from django_pkce_auth.server.audit_entry import AuditEntry
from django_pkce_auth.server.events import EVENTS
from django_pkce_auth.server.models import Client, Consent, RefreshToken, TokenFamily
from tests.four_steps import App, approve

pytestmark = pytest.mark.django_db(transaction=True)
Told = list[tuple[str, dict[str, Any]]]


@dataclass
class Scene:
    """One client, one user's browser, an administrator's, and what was told so far."""

    app: App
    browser: Browser
    told: Told = field(default_factory=list)

    def start_again(self) -> None:
        """Leave out what led up to the flow that is looked at."""
        self.told.clear()

    def start_much_later(self) -> None:
        """As long after what led up to the flow that no race and no lost answer is an excuse."""
        RefreshToken.objects.exclude(superseded_at=None).update(superseded_at="2026-01-01T00:00:00Z")
        self.start_again()

    def approve(self) -> str:
        return approve(self.browser, self.app.link())["code"]

    def tokens(self) -> dict[str, Any]:
        answer: Any = self.app.redeem(self.approve())
        self.start_again()
        return dict(answer.json())

    def admin(self, path: str, **form: Any) -> None:
        root = Browser()
        root.force_login(get_user_model().objects.create_superuser(username="root"))
        assert root.post(f"/admin/pkce_auth/{path}", form).status_code == 302


@pytest.fixture
def scene(register: Callable[..., App], signed_in: Browser) -> Iterator[Scene]:
    grants = f"authorization_code refresh_token client_credentials {DEVICE_CODE}"
    scene = Scene(register(grant_types=grants), signed_in)
    receivers = {name: _receiver(scene, name) for name in EVENTS}
    for name, receive in receivers.items():
        getattr(signals, name).connect(receive)
    yield scene
    for name, receive in receivers.items():
        getattr(signals, name).disconnect(receive)


def _receiver(scene: Scene, name: str) -> Callable[..., None]:
    def receive(**sent: Any) -> None:
        scene.told.append((name, {key: value for key, value in sent.items() if key not in ("signal", "sender")}))

    return receive


def give_consent(scene: Scene) -> None:
    scene.approve()


def approve_again(scene: Scene) -> None:
    scene.approve()
    scene.start_again()
    scene.approve()


def deny(scene: Scene) -> None:
    scene.browser.post(scene.app.link(), {"decision": "deny"})


def redeem(scene: Scene) -> None:
    code = scene.approve()
    scene.start_again()
    assert scene.app.redeem(code).status_code == 200


def redeem_with_a_wrong_verifier(scene: Scene) -> None:
    code = scene.approve()
    scene.start_again()
    assert scene.app.redeem(code, code_verifier="x" * 43).status_code == 400


def replay_a_code(scene: Scene) -> None:
    code = scene.approve()
    scene.app.redeem(code)
    scene.start_again()
    assert scene.app.redeem(code).status_code == 400
    assert scene.app.redeem(code).status_code == 400


def refresh(scene: Scene) -> None:
    assert scene.app.refresh(scene.tokens()["refresh_token"]).status_code == 200


def reuse_a_refresh_token(scene: Scene) -> None:
    first = scene.tokens()["refresh_token"]
    second = scene.app.refresh(first).json()["refresh_token"]
    scene.app.refresh(second)
    scene.start_much_later()
    assert scene.app.refresh(first).status_code == 400


def use_both_answers_to_a_retry(scene: Scene) -> None:
    first = scene.tokens()["refresh_token"]
    one, other = (scene.app.refresh(first).json()["refresh_token"] for _ in range(2))
    scene.app.refresh(one)
    scene.start_much_later()
    assert scene.app.refresh(other).status_code == 400


def retry_too_late(scene: Scene) -> None:
    first = scene.tokens()["refresh_token"]
    scene.app.refresh(first)
    scene.start_much_later()
    assert scene.app.refresh(first).status_code == 400


def refresh_with_a_token_that_is_kept(scene: Scene) -> None:
    Client.objects.update(rotates_refresh_tokens=False)
    refresh(scene)


def act_for_itself(scene: Scene) -> None:
    assert scene.app.post(grant_type="client_credentials", scope="read").status_code == 200


def _device(scene: Scene, decision: str, scope: str = "read") -> dict[str, Any]:
    answer: Any = scene.app.post("/oauth/device_authorization", scope=scope)
    codes = dict(answer.json())
    scene.browser.post("/oauth/device", {"user_code": codes["user_code"], "decision": decision})
    return codes


def allow_a_device(scene: Scene) -> None:
    _device(scene, "approve")


def allow_a_device_more_than_before(scene: Scene) -> None:
    scene.approve()
    scene.start_again()
    _device(scene, "approve", scope="read write")


def allow_a_device_again(scene: Scene) -> None:
    _device(scene, "approve")
    scene.start_again()
    _device(scene, "approve")


def deny_a_device(scene: Scene) -> None:
    _device(scene, "deny")


def poll(scene: Scene) -> None:
    codes = _device(scene, "approve")
    scene.start_again()
    assert scene.app.post(grant_type=DEVICE_CODE, device_code=codes["device_code"]).status_code == 200


def revoke_by_the_client(scene: Scene) -> None:
    tokens = scene.tokens()
    assert scene.app.post("/oauth/revoke", token=tokens["refresh_token"]).status_code == 200
    assert scene.app.post("/oauth/revoke", token=tokens["access_token"]).status_code == 200


def revoke_what_is_unknown(scene: Scene) -> None:
    assert scene.app.post("/oauth/revoke", token="pkce_rt_unknown").status_code == 200


def withdraw_on_the_apps_page(scene: Scene) -> None:
    scene.tokens()
    assert scene.browser.post("/oauth/apps", {"client_id": "photo-app", "confirmed": "yes"}).status_code in (302, 303)


def revoke_in_the_admin(scene: Scene) -> None:
    scene.tokens()
    scene.admin("tokenfamily/", action="revoke", _selected_action=TokenFamily.objects.get().pk)


def delete_a_consent_in_the_admin(scene: Scene) -> None:
    scene.tokens()
    scene.admin(f"consent/{Consent.objects.get().pk}/delete/", post="yes")


def send_a_wrong_secret(scene: Scene) -> None:
    assert App(scene.app.client, "x" * 40).redeem("y" * 40).status_code == 401


def come_as_a_stranger(scene: Scene) -> None:
    assert App(Client(client_id="nobody"), "x" * 40).redeem("y" * 40).status_code == 401


def introspect(scene: Scene) -> None:
    assert scene.app.post("/oauth/introspect", token=scene.tokens()["access_token"]).status_code == 200


OURS = {"client": "photo-app", "user": "alice"}
REVOKED: dict[str, Any] = {**OURS, "family": int, "actor": None}
REUSED: Told = [
    ("family_revoked", {**REVOKED, "reason": "reuse"}),
    ("reuse_detected", {**OURS, "family": int, "what": "refresh_token"}),
]
MATRIX: list[tuple[Callable[[Scene], None], Told]] = [
    (
        give_consent,
        [
            ("consent_given", {**OURS, "family": None, "scopes": ["read"]}),
            ("code_issued", {**OURS, "family": None, "scopes": ["read"]}),
        ],
    ),
    (approve_again, [("code_issued", {**OURS, "family": None, "scopes": ["read"]})]),
    (deny, []),
    (redeem, [("tokens_issued", {**OURS, "family": int, "grant_type": "authorization_code"})]),
    (redeem_with_a_wrong_verifier, []),
    (
        replay_a_code,
        [
            ("family_revoked", {**REVOKED, "reason": "replay"}),
            ("reuse_detected", {**OURS, "family": int, "what": "authorization_code"}),
            ("reuse_detected", {**OURS, "family": int, "what": "authorization_code"}),
        ],
    ),
    (refresh, [("tokens_refreshed", {**OURS, "family": int})]),
    (refresh_with_a_token_that_is_kept, [("tokens_refreshed", {**OURS, "family": int})]),
    (reuse_a_refresh_token, REUSED),
    (use_both_answers_to_a_retry, REUSED),
    (retry_too_late, REUSED),
    (
        act_for_itself,
        [("tokens_issued", {"client": "photo-app", "user": None, "family": int, "grant_type": "client_credentials"})],
    ),
    (
        allow_a_device,
        [
            ("consent_given", {**OURS, "family": None, "scopes": ["read"]}),
            ("code_issued", {**OURS, "family": None, "scopes": ["read"]}),
        ],
    ),
    (
        allow_a_device_more_than_before,
        [
            ("consent_given", {**OURS, "family": None, "scopes": ["write", "read"]}),
            ("code_issued", {**OURS, "family": None, "scopes": ["write", "read"]}),
        ],
    ),
    (allow_a_device_again, [("code_issued", {**OURS, "family": None, "scopes": ["read"]})]),
    (deny_a_device, []),
    (poll, [("tokens_issued", {**OURS, "family": int, "grant_type": DEVICE_CODE})]),
    (revoke_by_the_client, [("family_revoked", {**REVOKED, "reason": "client"})]),
    (revoke_what_is_unknown, []),
    (
        withdraw_on_the_apps_page,
        [
            ("family_revoked", {**REVOKED, "reason": "user", "actor": "alice"}),
            ("consent_withdrawn", {**OURS, "family": None}),
        ],
    ),
    (revoke_in_the_admin, [("family_revoked", {**REVOKED, "reason": "admin", "actor": "root"})]),
    (
        delete_a_consent_in_the_admin,
        [
            ("family_revoked", {**REVOKED, "reason": "admin", "actor": "root"}),
            ("consent_withdrawn", {**OURS, "family": None}),
        ],
    ),
    (
        send_a_wrong_secret,
        [
            (
                "client_authentication_failed",
                {
                    "client": None,
                    "user": None,
                    "family": None,
                    "client_id": "photo-app",
                    "reason": "no secret of the client that is still valid matches",
                },
            )
        ],
    ),
    (
        come_as_a_stranger,
        [
            (
                "client_authentication_failed",
                {"client": None, "user": None, "family": None, "client_id": "nobody", "reason": "unknown client_id"},
            )
        ],
    ),
    (introspect, []),
]


def readable(told: Told) -> Told:
    """Put names in place of rows and keys, and ``int`` where a family's key stands."""
    names = {str(user.pk): user.username for user in get_user_model().objects.all()}
    shown = []
    for name, facts in told:
        facts = dict(facts)
        facts["client"] = facts["client"] and facts["client"].client_id
        facts["user"] = facts["user"] and facts["user"].get_username()
        facts["family"] = facts["family"] and type(facts["family"])
        if facts.get("actor"):
            facts["actor"] = names[facts["actor"]]
        shown.append((name, facts))
    return shown


@pytest.mark.parametrize(("flow", "expected"), MATRIX, ids=[flow.__name__ for flow, _ in MATRIX])
def test_flow_tells_exactly_this(scene: Scene, flow: Callable[[Scene], None], expected: Told) -> None:
    flow(scene)
    assert readable(scene.told) == expected


@pytest.mark.parametrize(("flow", "expected"), MATRIX, ids=[flow.__name__ for flow, _ in MATRIX])
def test_audit_table_holds_what_the_signals_told(
    scene: Scene, flow: Callable[[Scene], None], expected: Told, settings: Any
) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUDIT": True}
    flow(scene)
    entries = list(AuditEntry.objects.order_by("pk"))[-len(expected) :] if expected else []
    told = readable(scene.told)
    assert [entry.event for entry in entries] == [name for name, _ in told]
    for entry, (_, facts), (_, raw) in zip(entries, told, scene.told, strict=True):
        assert entry.client_id == (facts["client"] or facts.get("client_id", ""))
        assert entry.user_id == (str(raw["user"].pk) if raw["user"] else "")
        assert entry.family == raw["family"]
        more = {key: value for key, value in raw.items() if key not in ("client", "user", "family")}
        assert entry.facts == more


@pytest.mark.parametrize("flow", [give_consent, redeem, refresh, act_for_itself], ids=lambda flow: flow.__name__)
def test_flow_that_is_rolled_back_tells_nothing(scene: Scene, flow: Callable[[Scene], None], settings: Any) -> None:
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "AUDIT": True}
    with transaction.atomic():
        flow(scene)
        transaction.set_rollback(True)
    assert scene.told == []
    assert not AuditEntry.objects.exists()


def test_every_event_is_in_the_matrix() -> None:
    of_keys = {"signing_key_added", "signing_key_retired"}  # test_signing_keys
    assert {name for _, told in MATRIX for name, _ in told} == set(EVENTS) - of_keys
