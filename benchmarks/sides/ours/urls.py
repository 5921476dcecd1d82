from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from django_pkce_auth.resource import require_scopes


@require_scopes("read")
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sub": str(request.user.pk), "username": request.user.get_username()})


urlpatterns = [path("api/me", me), path("", include("django_pkce_auth.urls"))]
