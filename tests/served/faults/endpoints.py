"""Every kind of request, each with what it needs freshly made, and the status that it gets when all is well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client as Browser
from django.utils import timezone

from django_pkce_auth.client.models import Connection
from django_pkce_auth.secrets import DEVICE_CODE, digest, generate
from django_pkce_auth.server.models import Client, Consent, DeviceCode, TokenFamily
from tests.four_steps import App
from tests.served.races.cast import Program, make_codes, make_families, make_user, use
from tests.served.wire import Request

CSRF = "c" * 32
USER_CODE = "BCDFGHJK"


class Scene:
    """A user with a browser, and a client with every grant."""

    def __init__(self) -> None:
        self.user: Any = make_user("alice")
        self.program = Program.register("away", public=False)
        grants = "authorization_code refresh_token client_credentials urn:ietf:params:oauth:grant-type:device_code"
        Client.objects.update(grant_types=grants)
        browser = Browser()
        browser.force_login(self.user)
        cookies = f"sessionid={browser.cookies['sessionid'].value}; csrftoken={CSRF}"
        self.headers = {"Cookie": cookies, "X-CSRFToken": CSRF}
        self.link = App(self.program.client, None).link()
        Connection.objects.create(user=self.user, provider="acme", raw_access_token="x")

    def fresh(self) -> None:
        """Forget what the last request left."""
        for model in (TokenFamily, Consent, DeviceCode):
            model._default_manager.all().delete()

    def visit(self, method: str, path: str, **form: str) -> Request:
        return Request(method, path, form if method == "POST" else None, self.headers)

    def token(self) -> str:
        return make_families(self.program, self.user, 1)[0].access_token

    def device(self) -> str:
        now, raw = timezone.now(), generate(DEVICE_CODE)
        DeviceCode.objects.create(
            digest=digest(raw),
            user_code_digest=digest(USER_CODE),
            client=self.program.client,
            created_at=now,
            expires_at=now + timedelta(minutes=5),
            interval=5,
            scope="read",
        )
        return raw

    def consented(self) -> None:
        Consent.objects.create(user=self.user, client=self.program.client, scope="read")


def post(path: str, **form: str) -> Callable[[Scene], Request]:
    return lambda scene: scene.program.post(path, form)


def code(scene: Scene) -> Request:
    return scene.program.redeem(make_codes(scene.program, scene.user, 1)[0])


def refresh(scene: Scene) -> Request:
    return scene.program.refresh(make_families(scene.program, scene.user, 1)[0].refresh_token)


def approved_device(scene: Scene) -> Request:
    raw = scene.device()
    DeviceCode.objects.update(user=scene.user, approved_at=timezone.now())
    return scene.program.post(
        "/oauth/token", {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": raw}
    )


def waiting_device(scene: Scene) -> Request:
    scene.device()
    return scene.visit("POST", "/oauth/device", user_code=USER_CODE, decision="approve")


def remembered(scene: Scene) -> Request:
    scene.consented()
    return scene.visit("GET", scene.link)


def withdrawal(scene: Scene) -> Request:
    scene.consented()
    make_families(scene.program, scene.user, 1)
    return scene.visit("POST", "/oauth/apps", client_id=scene.program.client.client_id)


ENDPOINTS: dict[str, tuple[Callable[[Scene], Request], int]] = {
    "exchange": (code, 200),
    "refresh": (refresh, 200),
    "client credentials": (post("/oauth/token", grant_type="client_credentials", scope="read"), 200),
    "exchange of a device's code": (approved_device, 200),
    "revocation": (lambda scene: scene.program.revoke(scene.token()), 200),
    "introspection": (lambda scene: scene.program.post("/oauth/introspect", {"token": scene.token()}), 200),
    "device authorization": (post("/oauth/device_authorization", scope="read"), 200),
    "key set": (lambda scene: Request("GET", "/oauth/jwks"), 200),
    "prompt": (lambda scene: scene.visit("GET", scene.link), 200),
    "approval": (lambda scene: scene.visit("POST", scene.link, decision="approve"), 303),
    "remembered approval": (remembered, 303),
    "device page": (waiting_device, 200),
    "apps": (lambda scene: scene.visit("GET", "/oauth/apps"), 200),
    "withdrawal": (withdrawal, 302),
    "connections": (lambda scene: scene.visit("GET", "/connect/"), 200),
    "guard": (lambda scene: use(scene.token()), 200),
}
