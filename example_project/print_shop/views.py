"""Print Shop's API: another project, with no database and no users, that accepts Photo Box's signed tokens."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from django_pkce_auth.resource import require_scopes


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Print Shop prints what Photo Box keeps: GET /api/prices with a token.", "text/plain")


@require_scopes("photos")
def prices(request: HttpRequest) -> HttpResponse:
    """What a print costs, and for whom: the token alone says it, nothing is looked up."""
    grant = request.oauth  # type: ignore[attr-defined]
    return JsonResponse({"client_id": grant.client_id, "issuer": grant.claims["iss"], "10x15": 0.19, "20x30": 2.49})
