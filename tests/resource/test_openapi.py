"""OpenAPI documents show our flow, and the scopes of each operation; checked with their validators (pain 22)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser
from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from openapi_spec_validator import validate

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
    from drf_spectacular.openapi import AutoSchema

    from tests.resource import guarded

    guarded.Photos.schema = AutoSchema()
    GENERATOR_STATS.reset()
    from django.urls import path

    routes = [path("photos", guarded.Photos.as_view({"get": "list", "post": "create"}))]
    document: Any = SchemaGenerator(patterns=routes).get_schema(request=None, public=True)
    validate_schema(document)
    validate(json.loads(json.dumps(document)))
    assert document["components"]["securitySchemes"] == {"oauth2": SCHEME}
    operations = document["paths"]["/photos"]
    assert operations["get"]["security"] == [{"oauth2": ["read"]}]
    assert operations["post"]["security"] == [{"oauth2": ["read", "write"]}]
    assert "could not resolve authenticator" not in capsys.readouterr().err
