"""GET /.well-known/oauth-protected-resource (RFC 9728)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from .. import conf
from ..published import published_json
from .metadata import document


@require_safe
def resource_metadata(request: HttpRequest, path: str = "") -> HttpResponse:
    """Describe this project at the root, and each resource of its own host behind the resource's path (§3.1)."""
    settings = conf.settings()
    wanted = path.rstrip("/")
    for resource in settings.resources.values():
        is_here = resource.identifier == settings.origin or resource.identifier.startswith(f"{settings.origin}/")
        if is_here and (resource.path == wanted or (resource.is_own and not wanted)):
            return published_json(request, document(resource, settings=settings))
    raise Http404("no resource of this project has that path")
