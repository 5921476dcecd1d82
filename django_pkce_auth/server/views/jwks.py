"""GET /oauth/jwks: the public keys that verify our JWT access tokens (RFC 7517 §5)."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ...outages import during_outages
from ...published import published_json
from ..responses import unavailable
from ..signing_key import SigningKey


@during_outages(unavailable)
@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """Answer with every key that a valid token may be signed by, or will be soon. One query."""
    published = SigningKey.objects.published(timezone.now()).values_list("public_jwk", flat=True)
    return published_json(request, {"keys": [json.loads(key) for key in published]})
