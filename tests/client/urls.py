"""The test project, and what its own server tells its own client about an account."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from django_pkce_auth.resource import require_scopes
from tests.urls import urlpatterns as project


@require_scopes("profile")
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sub": str(request.user.pk), "preferred_username": request.user.get_username()})


urlpatterns = [path("api/me", me), path("", include(project))]
