"""Swagger UI, in which "Authorize" walks the code flow with PKCE as the public client ``api-docs``.

Its script writes styles into the page, so these pages have a policy of their own. Its pop-up ends on a page that must
send the same Cross-Origin-Opener-Policy as the others, or the browser cuts it off from the page that opened it: so that
page is served by Django, not as a static file.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from ..middleware import DOCS_POLICY


class ApiDocs(SpectacularSwaggerSplitView):
    template_name = "server_site/swagger.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response["Content-Security-Policy"] = DOCS_POLICY
        return response


def back_from_authorize(request: HttpRequest) -> HttpResponse:
    """Hand the code to the page that opened this one; the script is Swagger UI's."""
    return render(request, "server_site/swagger_redirect.html")
