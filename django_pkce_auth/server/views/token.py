"""POST /oauth/token (RFC 6749 §3.2)."""

from __future__ import annotations

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from ... import conf
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE, OAuthError
from ...protocol.parameters import MAX_MESSAGE_BYTES, Parameters
from ..grants import GRANTS
from ..responses import error_response, json_response, method_not_allowed

FORM = "application/x-www-form-urlencoded"


@csrf_exempt
@sensitive_variables()
def token(request: HttpRequest) -> HttpResponse:
    """Exchange a code or a refresh token. Not for browsers, so neither CSRF token nor session play a part."""
    if request.method != "POST":
        return method_not_allowed()
    authorization = request.META.get("HTTP_AUTHORIZATION")
    try:
        parameters = read_form(request)
        grant_type = parameters.require("grant_type")
        if grant_type not in GRANTS:
            raise OAuthError(UNSUPPORTED_GRANT_TYPE, f"grant_type is none of {', '.join(GRANTS)}.")
        credentials = ClientCredentials.decode(authorization, parameters)
        response = GRANTS[grant_type](parameters, credentials, settings=conf.settings(), now=timezone.now())
    except OAuthError as error:
        return error_response(error, by_header=authorization is not None)
    return json_response(response.encode())


# A replayed code or refresh token ends its family even though the request fails, so no transaction may surround it.
for _alias in connections:
    token = transaction.non_atomic_requests(using=_alias)(token)


def read_form(request: HttpRequest) -> Parameters:
    """Return the parameters of a form POST; raises OAuthError ``invalid_request`` for any other body."""
    if request.META.get("QUERY_STRING"):
        raise OAuthError(INVALID_REQUEST, "Parameters in the URL are not read; send them all in the body.")
    if request.content_type != FORM:
        raise OAuthError(INVALID_REQUEST, f"The body must be of Content-Type {FORM}.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MAX_MESSAGE_BYTES:
        raise OAuthError(INVALID_REQUEST, f"The body must have at most {MAX_MESSAGE_BYTES} bytes.")
    return Parameters.parse(request.body)
