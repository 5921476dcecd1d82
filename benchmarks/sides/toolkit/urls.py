from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


@protected_resource(scopes=["read"])
def me(request: HttpRequest) -> HttpResponse:
    owner: Any = request.resource_owner
    return JsonResponse({"sub": str(owner.pk), "username": owner.get_username()})


urlpatterns = [path("api/me", me), path("o/", include("oauth2_provider.urls"))]
