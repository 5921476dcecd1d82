"""Django REST framework beside its own ways of authenticating (pains 22 and 33)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from django_pkce_auth.resource import require_scopes
from django_pkce_auth.resource.drf import BearerAuthentication, ClientRateThrottle, HasScopes
from django_pkce_auth.server.models import Client
from django_pkce_auth.testing import issue_access_token
from tests.resource.guarded import Photos


class Both(APIView):
    authentication_classes = [BearerAuthentication, SessionAuthentication]
    permission_classes: Any = [HasScopes]
    required_scopes: Any = ["read"]

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})


def get(view: Any, user: Any = None, *scopes: str, path: str = "/", method: str = "get", session: Any = None) -> Any:
    headers = {} if not scopes else {"HTTP_AUTHORIZATION": f"Bearer {issue_access_token(user, scopes)}"}
    request = getattr(APIRequestFactory(), method)(path, **headers)
    if session is not None:
        request.user = session
    return view(request)


def test_actions_need_their_own_scopes(alice: Any) -> None:
    view = Photos.as_view({"get": "list", "post": "create"})
    assert get(view, alice, "read").data == {"user": "alice", "client": "test-client"}
    refused = get(view, alice, "read", method="post")
    assert refused.status_code == 403
    assert 'scope="read write"' in refused["WWW-Authenticate"]
    assert refused["Cache-Control"] == "no-store"
    assert get(view, alice, "read", "write", method="post").status_code == 201


def test_session_is_let_in_only_where_another_permission_says_so(alice: Any, admin_user: Any) -> None:
    assert get(Both.as_view(), session=alice).status_code == 403
    either = Both.as_view(permission_classes=[HasScopes | IsAdminUser])
    assert get(either, session=admin_user).status_code == 200
    assert get(either, session=alice).status_code == 403
    assert get(either, alice, "read").status_code == 200
    assert get(either, alice, "write").status_code == 403


def test_nobody_gets_the_challenge_with_the_scope() -> None:
    response = get(Both.as_view())
    assert (response.status_code, 'scope="read"' in response["WWW-Authenticate"]) == (401, True)


def test_other_permissions_ask_for_a_token_as_well(alice: Any) -> None:
    view = Both.as_view(permission_classes=[IsAuthenticated], required_scopes=None)
    refused = get(view)
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].startswith("Bearer resource_metadata=")
    assert get(view, alice, "write").status_code == 200


class Tools(Both):
    resource = "/mcp"
    required_scopes = {"GET": ["read"], "POST": ["read", "write"]}

    def post(self, request: Any) -> Response:
        return Response({})

    put = post


@pytest.mark.parametrize("method", ["get", "head", "post", "options", "delete"])
def test_challenge_is_the_same_whichever_permission_refuses_first(method: str) -> None:
    challenge = get(Tools.as_view(), method=method)["WWW-Authenticate"]
    assert challenge.endswith('resource_metadata="https://testserver/.well-known/oauth-protected-resource/mcp"')
    assert ("scope=" in challenge) == (method in ("get", "head", "post"))
    refused = get(Tools.as_view(permission_classes=[IsAuthenticated, HasScopes]), method=method)
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, challenge)


@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_challenge_of_a_view_set_names_the_scopes_of_the_action(method: str) -> None:
    routes = {"get": "list", "post": "create"}
    first = get(Photos.as_view(routes), method=method)["WWW-Authenticate"]
    view = Photos.as_view(routes, permission_classes=[IsAuthenticated, HasScopes])
    assert get(view, method=method)["WWW-Authenticate"] == first


def test_method_whose_scopes_are_not_declared_still_asks_for_a_token() -> None:
    refused = get(Tools.as_view(permission_classes=[IsAuthenticated]), method="put")
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].endswith('/oauth-protected-resource/mcp"')


def test_challenge_names_what_the_resource_lists_where_the_view_needs_no_scope(settings: Any) -> None:
    listed = {"/mcp": {"name": "Tools", "scopes": ["read", "offline_access"]}}
    settings.PKCE_AUTH = {**settings.PKCE_AUTH, "RESOURCES": listed}
    view = Tools.as_view(permission_classes=[IsAuthenticated], required_scopes=None)
    assert 'scope="read",' in get(view)["WWW-Authenticate"]


def test_client_that_acts_for_itself_is_authenticated_only_as_its_service_user(alice: Any) -> None:
    assert get(Both.as_view(), None, "read").data == {"user": "AnonymousUser"}
    view = Both.as_view(permission_classes=[HasScopes, IsAuthenticated])
    assert get(view, None, "read").status_code == 403
    Client.objects.update(service_user=alice)
    assert get(view, None, "read").data == {"user": "alice"}


@pytest.mark.parametrize("declared", [None, [], "read", {"POST": ["read"]}, ["a b"]])
def test_view_that_declares_nothing_usable_lets_nobody_in(alice: Any, declared: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="Both"):
        get(Both.as_view(required_scopes=declared), alice, "read")


class Clients(ModelViewSet):
    authentication_classes: Any = [BearerAuthentication]
    permission_classes: Any = [HasScopes]
    required_scopes: Any = {"list": ["read"], "create": ["write"], "metadata": ["profile"]}
    queryset = Client.objects.order_by("pk")

    class serializer_class(ModelSerializer[Client]):
        class Meta:
            model = Client
            fields = ("name",)

    @action(detail=False)
    def metadata(self, request: Any) -> Response:
        return Response({})


def test_options_of_a_view_set_need_a_token_and_show_what_its_scopes_allow(alice: Any) -> None:
    view = Clients.as_view({"get": "list", "post": "create"})
    assert get(view, method="options").status_code == 401
    answer = get(view, alice, "read", method="options")
    assert (answer.status_code, "actions" in answer.data) == (200, False)
    assert list(get(view, alice, "write", method="options").data["actions"]) == ["POST"]


def test_action_of_the_name_that_options_have_needs_its_own_scopes(alice: Any) -> None:
    view = Clients.as_view({"get": "metadata"})
    assert get(view, alice, "profile").status_code == 200
    assert get(view, alice, "read").status_code == 403
    with pytest.raises(ImproperlyConfigured, match="says nothing of metadata"):
        get(Clients.as_view({"get": "metadata"}, required_scopes={"list": ["read"]}), alice, "read")


@api_view(["GET", "POST"])
@authentication_classes([BearerAuthentication])
@require_scopes("read")
def function(request: Any) -> Response:
    return Response({"user": str(request.user), "client": request.oauth.client_id})


def test_function_view_is_guarded_by_the_decorator(alice: Any) -> None:
    for method in ("get", "post"):
        assert get(function, alice, "read", method=method).data == {"user": "alice", "client": "test-client"}
        lacks = get(function, alice, "write", method=method)
        assert (lacks.status_code, 'scope="read"' in lacks["WWW-Authenticate"]) == (403, True)
        assert get(function, method=method).status_code == 401


def test_method_without_a_handler_is_405(alice: Any) -> None:
    view = Both.as_view(required_scopes={"GET": ["read"]})
    assert get(view, alice, "profile", method="delete").status_code == 405
    assert get(view, alice, "profile", method="options").status_code == 200


def test_requests_are_counted_by_client(alice: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientRateThrottle, "THROTTLE_RATES", {"oauth_client": "2/min"})
    view = Photos.as_view({"get": "list"}, throttle_classes=[ClientRateThrottle])
    assert [get(view, alice, "read").status_code for _ in range(3)] == [200, 200, 429]
    other = Client.objects.create(client_id="other", name="Other")
    headers = {"HTTP_AUTHORIZATION": f"Bearer {issue_access_token(alice, ['read'], client=other)}"}
    assert view(APIRequestFactory().get("/", **headers)).status_code == 200


def test_request_without_a_token_is_not_counted_by_client(monkeypatch: pytest.MonkeyPatch, alice: Any) -> None:
    monkeypatch.setattr(ClientRateThrottle, "THROTTLE_RATES", {"oauth_client": "1/min"})
    view = Both.as_view(permission_classes=[IsAuthenticated], throttle_classes=[ClientRateThrottle])
    assert [get(view, session=alice).status_code for _ in range(3)] == [200, 200, 200]


def test_resource_of_the_view_is_what_tokens_must_be_for(alice: Any, settings: Any) -> None:
    with override_settings(PKCE_AUTH=settings.PKCE_AUTH | {"RESOURCES": {"/tools": "Tools"}}):
        refused = get(Both.as_view(), alice, "read", path="/tools/x")
        assert (refused.status_code, "oauth-protected-resource/tools" in refused["WWW-Authenticate"]) == (401, True)
        assert get(Both.as_view(), alice, "read").status_code == 200
