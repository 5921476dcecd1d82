"""JSON documents that are published for everybody: cacheable, conditional, and open to scripts of any origin."""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag

from .secrets import digest

MAX_AGE_SECONDS = 3600


def published_json(request: HttpRequest, document: Mapping[str, object]) -> HttpResponse:
    """Return the document with its ETag, or 304 for a reader who has it (RFC 9110 §13)."""
    body = json.dumps(document)
    response = HttpResponse(body, content_type="application/json")
    response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    response["ETag"] = etag = quote_etag(digest(body).hex()[:32])
    answer = get_conditional_response(request, etag=etag, response=response) or response
    answer["Access-Control-Allow-Origin"] = "*"
    return answer
