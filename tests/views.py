from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from django_pkce_auth.resource import require_scopes


@require_scopes("read")
def read(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": request.user.get_username(), "client": request.oauth.client.client_id})


@require_scopes("read", "write")
def write(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"written": True})


@require_scopes("read")
async def read_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": (await request.auser()).get_username()})


def links(request: HttpRequest) -> HttpResponse:
    return render(request, "links.html")
