"""``ScopesRequiredMixin``: scopes by method, and classes that declare them badly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.views import View

from django_pkce_auth.resource import ScopesRequiredMixin
from django_pkce_auth.testing import issue_access_token


class ByMethod(ScopesRequiredMixin, View):
    required_scopes = {"get": ["read"], "POST": ("read", "write")}

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("got")

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("posted")


@pytest.fixture
def call(alice: Any) -> Callable[..., HttpResponse]:
    def send(method: str, *scopes: str, view: Any = None) -> HttpResponse:
        headers = {"Authorization": f"Bearer {issue_access_token(alice, scopes)}"}
        request = RequestFactory().generic(method, "/", headers=headers)
        response: HttpResponse = (view or ByMethod.as_view())(request)
        return response

    return send


def test_each_method_needs_its_own_scopes(call: Callable[..., HttpResponse]) -> None:
    assert call("GET", "read").status_code == 200
    assert call("HEAD", "read").status_code == 200
    assert call("HEAD", "write").status_code == 403
    refused = call("POST", "read")
    assert (refused.status_code, 'scope="read write"' in refused["WWW-Authenticate"]) == (403, True)
    assert call("POST", "read", "write").content == b"posted"


def test_method_without_a_handler_is_405_with_any_token_and_401_without(call: Callable[..., HttpResponse]) -> None:
    assert call("DELETE", "profile").status_code == 405
    assert call("OPTIONS", "profile").status_code == 200
    assert ByMethod.as_view()(RequestFactory().delete("/")).status_code == 401


def test_scopes_can_be_given_to_as_view(call: Callable[..., HttpResponse]) -> None:
    view = ByMethod.as_view(required_scopes=["profile"])
    assert call("GET", "read", view=view).status_code == 403
    assert call("GET", "profile", view=view).status_code == 200


@pytest.mark.parametrize(
    "declared",
    [(), [], {}, None, "read", ["read write"], [7], 7, {"GET": ["read"]}, {"GET": "read", "POST": ["read"]}],
)
def test_class_that_declares_nothing_usable_is_refused_when_it_is_routed(declared: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="ByMethod"):
        ByMethod.as_view(required_scopes=declared)


def test_empty_list_for_a_method_lets_every_token_in(call: Callable[..., HttpResponse]) -> None:
    view = ByMethod.as_view(required_scopes={"GET": [], "POST": ["write"]})
    assert call("GET", "profile", view=view).status_code == 200
    assert view(RequestFactory().get("/")).status_code == 401


def test_resource_of_the_class_is_what_tokens_must_be_for(call: Callable[..., HttpResponse], settings: Any) -> None:
    with override_settings(PKCE_AUTH=settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        assert call("GET", "read", view=ByMethod.as_view(resource="/tools")).status_code == 401
        assert call("GET", "read").status_code == 200
