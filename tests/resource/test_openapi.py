"""OpenAPI documents show our flow, and the scopes of each operation; checked with their validators (pain 22)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest
from django.test import Client as Browser
from django.test import override_settings
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.validation import validate_schema
from ninja import NinjaAPI
from openapi_spec_validator import validate

from django_pkce_auth.resource.ninja import BearerAuth, secure
from tests.resource.issuer import Issuer

remote_api = secure(NinjaAPI(urls_namespace="remote"))


@remote_api.get("/photos", auth=BearerAuth("read"))
def list_photos(request: HttpRequest) -> dict[str, str]:
    return {}


SCHEME = {
    "type": "oauth2",
    "flows": {
        "authorizationCode": {
            "authorizationUrl": "https://testserver/oauth/authorize",
            "tokenUrl": "https://testserver/oauth/token",
            "refreshUrl": "https://testserver/oauth/token",
            "scopes": {"read": "Read your data", "write": "Change your data", "profile": "See who you are"},
        }
    },
}


@pytest.fixture(autouse=True)
def urlconf() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.resource.guarded", ALLOWED_HOSTS=["*"]):
        yield


def test_ninja_shows_the_scheme_and_the_scopes_of_each_operation() -> None:
    document = Browser().get("/guarded/ninja/openapi.json", headers={"Host": "evil.example"}).json()
    validate(document)
    assert document["components"]["securitySchemes"] == {"BearerAuth": SCHEME}
    paths = document["paths"]
    assert paths["/guarded/ninja/sync"]["get"]["security"] == [{"BearerAuth": ["read", "profile"]}]
    assert paths["/guarded/ninja/async"]["post"]["security"] == [{"BearerAuth": ["read", "profile"]}]
    assert "security" not in paths["/guarded/ninja/open"]["get"]
    assert "evil.example" not in json.dumps(document)


def test_spectacular_shows_the_scheme_and_the_scopes_of_each_action(capsys: pytest.CaptureFixture[str]) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS

    from tests.resource import guarded

    guarded.Photos.schema = AutoSchema()
    GENERATOR_STATS.reset()
    routes = [path("photos", guarded.Photos.as_view({"get": "list", "post": "create"}))]
    document: Any = SchemaGenerator(patterns=routes).get_schema(request=None, public=True)
    validate_schema(document)
    validate(json.loads(json.dumps(document)))
    assert document["components"]["securitySchemes"] == {"oauth2": SCHEME}
    operations = document["paths"]["/photos"]
    assert operations["get"]["security"] == [{"oauth2": ["read"]}]
    assert operations["post"]["security"] == [{"oauth2": ["read", "write"]}]
    assert "could not resolve authenticator" not in capsys.readouterr().err


class TestAnotherIssuer:
    """A project that only guards APIs shows where its tokens come from: it has no endpoints of its own."""

    @pytest.fixture(autouse=True)
    def remote(self, issuer: Issuer) -> Iterator[None]:
        routes = [path("api/", remote_api.urls), path("", include("django_pkce_auth.resource.urls"))]
        urlconf = type("URLconf", (), {"urlpatterns": routes})
        server = {"AUTHORIZATION_SERVER": issuer.settings}
        with override_settings(ROOT_URLCONF=urlconf, PKCE_AUTH=django_settings.PKCE_AUTH | server):
            yield

    def document(self) -> Any:
        document = Browser().get("/api/openapi.json").json()
        validate(document)
        operation = document["paths"]["/api/photos"]["get"]
        assert operation["security"] == [{"BearerAuth": ["read"]}]
        return document["components"]["securitySchemes"]["BearerAuth"]

    def test_its_published_addresses_are_shown(self, issuer: Issuer) -> None:
        flow = self.document()["flows"]["authorizationCode"]
        assert flow["authorizationUrl"] == f"{issuer.url}/authorize"
        assert flow["tokenUrl"] == flow["refreshUrl"] == f"{issuer.url}/token"
        assert flow["scopes"] == SCHEME["flows"]["authorizationCode"]["scopes"]  # type: ignore[index]

    def test_document_is_there_while_the_issuer_is_down(self, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
        issuer.answers["/.well-known/oauth-authorization-server"] = (500, {})
        assert self.document() == {"type": "oauth2", "flows": {}}
        assert "shows no flow" in caplog.text

    def test_spectacular_shows_the_same(self, issuer: Issuer) -> None:
        from tests.resource.guarded import Photos

        routes = [path("photos", Photos.as_view({"get": "list"}))]
        Photos.schema = AutoSchema()
        document: Any = SchemaGenerator(patterns=routes).get_schema(request=None, public=True)
        validate_schema(document)
        flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]
        assert flow["authorizationUrl"] == f"{issuer.url}/authorize"
