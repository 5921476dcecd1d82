"""The server side under ASGI: the same walk through Django's asynchronous handler."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.four_steps import REDIRECT_URI, VERIFIER, App

FORM = "application/x-www-form-urlencoded"


def test_walk_is_the_same_under_asgi(app: App, alice: Any) -> None:
    browser, program = AsyncClient(), AsyncClient()
    browser.force_login(alice)

    async def send(**form: str) -> Any:
        return await program.post(
            "/oauth/token", urlencode(form), content_type=FORM, headers={"Authorization": app.credentials.header()}
        )

    async def walk() -> None:
        assert "Photo App" in (await browser.get(app.link())).content.decode()
        answer = await browser.post(app.link(), {"decision": "approve"})
        back = dict(parse_qsl(urlsplit(answer["Location"]).query))
        fields = {"code": back["code"], "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI}
        tokens = (await send(grant_type="authorization_code", **fields)).json()
        renewed = (await send(grant_type="refresh_token", refresh_token=tokens["refresh_token"])).json()
        for path in ("/api/read", "/api/async"):
            headers = {"Authorization": f"Bearer {renewed['access_token']}"}
            assert (await program.get(path, headers=headers)).json()["user"] == "alice"
        assert (await send(grant_type="authorization_code", **fields)).status_code == 400
        assert (await program.get("/api/read", headers=headers)).status_code == 401

    async_to_sync(walk)()
