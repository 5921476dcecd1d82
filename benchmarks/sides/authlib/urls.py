from authlib.oauth2 import OAuth2Error
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from benchmarks.exchange import HOST, SCOPES

from .server import Introspection, require_oauth, server


@require_oauth("read")
def me(request: HttpRequest) -> HttpResponse:
    user = request.oauth_token.user
    return JsonResponse({"sub": str(user.pk), "username": user.get_username()})


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    return server.create_token_response(request)


@csrf_exempt
@require_POST
def introspect(request: HttpRequest) -> HttpResponse:
    return server.create_endpoint_response(Introspection.ENDPOINT_NAME, request)


@login_required
def authorize(request: HttpRequest) -> HttpResponse:
    try:
        grant = server.get_consent_grant(request, end_user=request.user)
    except OAuth2Error as error:
        return JsonResponse(dict(error.get_body()), status=error.status_code)
    if request.method == "GET":
        words = [SCOPES[each] for each in grant.request.payload.scope.split()]
        shown = {"client": {"name": grant.client.client_name}, "scopes": words, "host": HOST}
        return render(request, "benchmarks/authorize.html", shown)
    confirmed = request.POST.get("decision") == "approve"
    return server.create_authorization_response(request, grant=grant, grant_user=request.user if confirmed else None)


urlpatterns = [
    path("api/me", me),
    path("oauth/token", token),
    path("oauth/introspect", introspect),
    path("oauth/authorize", authorize),
]
