"""The same API behind every guard: needs ``read``, answers who acts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from ninja import NinjaAPI
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from django_pkce_auth.resource import ScopesRequiredMixin, require_scopes
from django_pkce_auth.resource.drf import BearerAuthentication, ClientRateThrottle, HasScopes
from django_pkce_auth.resource.ninja import BearerAuth, secure


@require_scopes("read", "profile")
def function(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(request.user)})


@require_scopes("read", "profile")
async def async_function(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(await request.auser())})


class Mixed(ScopesRequiredMixin, View):
    required_scopes = ("read", "profile")

    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": str(request.user)})

    post = get


class AsyncMixed(ScopesRequiredMixin, View):
    required_scopes = {"GET": ["read", "profile"], "POST": ["read", "profile"]}

    async def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": str(await request.auser())})

    async def post(self, request: HttpRequest) -> JsonResponse:
        return await self.get(request)


@method_decorator(require_scopes("read", "profile"), name="dispatch")
class Decorated(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": str(request.user)})

    post = get


@method_decorator(require_scopes("read", "profile"), name="dispatch")
class AsyncDecorated(View):
    async def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": str(await request.auser())})

    async def post(self, request: HttpRequest) -> JsonResponse:
        return await self.get(request)


class Framework(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScopes]
    required_scopes = {"GET": ["read", "profile"], "POST": ["read", "profile"]}

    def get(self, request: Any) -> Response:
        return Response({"user": str(request.user)})

    post = get


class Throttle(ClientRateThrottle):
    rate = "100/min"


class Photos(ViewSet):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScopes]
    throttle_classes = [Throttle]
    required_scopes = {"list": ["read"], "create": ["read", "write"]}

    def list(self, request: Any) -> Response:
        """List the photos."""
        return Response({"user": str(request.user), "client": request.auth.client_id})

    def create(self, request: Any) -> Response:
        """Add a photo."""
        return Response({"made": True}, status=201)


api = secure(NinjaAPI(urls_namespace="guarded"))


@api.get("/sync", auth=BearerAuth("read", "profile"))
@api.post("/sync", auth=BearerAuth("read", "profile"), operation_id="post_sync")
def ninja_sync(request: HttpRequest) -> dict[str, str]:
    return {"user": str(request.user)}


@api.get("/async", auth=BearerAuth("read", "profile"))
@api.post("/async", auth=BearerAuth("read", "profile"), operation_id="post_async")
async def ninja_async(request: HttpRequest) -> dict[str, str]:
    return {"user": str(await request.auser())}


@api.get("/open")
def ninja_open(request: HttpRequest) -> dict[str, str]:
    return {}


def plain(request: HttpRequest) -> JsonResponse:
    """Know nothing of tokens."""
    grant = getattr(request, "oauth", None)
    return JsonResponse({"user": str(request.user), "scopes": list(grant.scopes) if grant else None})


async def async_plain(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(await request.auser())})


urlpatterns = [
    path("guarded/function", function),
    path("guarded/async-function", async_function),
    path("guarded/mixin", Mixed.as_view()),
    path("guarded/async-mixin", AsyncMixed.as_view()),
    path("guarded/decorated", Decorated.as_view()),
    path("guarded/async-decorated", AsyncDecorated.as_view()),
    path("guarded/drf", Framework.as_view()),
    path("guarded/photos", Photos.as_view({"get": "list", "post": "create"})),
    path("guarded/ninja/", api.urls),
    path("plain", plain),
    path("async-plain", async_plain),
    path("", include("tests.urls")),
]
