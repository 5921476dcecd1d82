"""What the protocol endpoints answer: JSON with the headers that RFC 6749 §5.1 demands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import JsonResponse

from ..outages import RETRY_AFTER_SECONDS
from ..protocol.errors import INVALID_CLIENT, INVALID_REQUEST, TEMPORARILY_UNAVAILABLE, OAuthError
from ..protocol.token import encode_error


def json_response(members: Mapping[str, Any], *, status: int = 200) -> JsonResponse:
    response = JsonResponse(dict(members), status=status)
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    return response


def error_response(error: OAuthError, *, by_header: bool = False) -> JsonResponse:
    """401 for a client that failed to authenticate, 503 where it is our fault, 400 for all else (RFC 6749 §5.2)."""
    if error.error == TEMPORARILY_UNAVAILABLE:
        response = json_response(encode_error(error), status=503)
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    if error.error != INVALID_CLIENT:
        return json_response(encode_error(error), status=400)
    response = json_response(encode_error(error), status=401)
    if by_header:
        response["WWW-Authenticate"] = 'Basic realm="OAuth client"'
    return response


def unavailable() -> JsonResponse:
    """503, for a time in which the database does not answer."""
    return error_response(OAuthError(TEMPORARILY_UNAVAILABLE, "The server can't answer right now; try again later."))


def too_many_failures(retry_after: int) -> JsonResponse:
    """429; ``retry_after`` is in seconds (RFC 6585 §4)."""
    error = OAuthError(TEMPORARILY_UNAVAILABLE, f"Too many failed attempts; try again in {retry_after} seconds.")
    response = json_response(encode_error(error), status=429)
    response["Retry-After"] = str(retry_after)
    return response


def method_not_allowed() -> JsonResponse:
    error = OAuthError(INVALID_REQUEST, "This endpoint takes POST only.")
    response = json_response(encode_error(error), status=405)
    response["Allow"] = "POST"
    return response
