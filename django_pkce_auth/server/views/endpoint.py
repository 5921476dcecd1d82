"""What the endpoints that clients POST forms to have in common: the token, revocation and introspection endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_REQUEST, OAuthError
from ...protocol.parameters import MAX_MESSAGE_BYTES, Parameters
from ..authenticate import authenticate
from ..models import Client
from ..responses import error_response, method_not_allowed

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A form that was read strictly, and the credentials beside it, not yet checked."""

    parameters: Parameters
    credentials: ClientCredentials
    now: datetime

    def authenticate(self) -> Client:
        return authenticate(self.credentials, found=None, now=self.now)


Endpoint = Callable[[HttpRequest, ClientRequest], HttpResponse]


def client_endpoint(view: Endpoint) -> Callable[[HttpRequest], HttpResponse]:
    """Make ``view`` an endpoint: POST only, JSON errors, no CSRF token, and no transaction around it.

    It is for programs, so neither session nor cookies play a part. A replayed code or refresh token ends its family
    even though the request fails, so ATOMIC_REQUESTS must not surround it.
    """

    @csrf_exempt
    @sensitive_variables()
    @wraps(view)
    def endpoint(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return method_not_allowed()
        authorization = request.META.get("HTTP_AUTHORIZATION")
        try:
            parameters = read_form(request)
            credentials = ClientCredentials.decode(authorization, parameters)
            return view(request, ClientRequest(parameters, credentials, timezone.now()))
        except OAuthError as error:
            return error_response(error, by_header=authorization is not None)

    for alias in connections:
        endpoint = transaction.non_atomic_requests(using=alias)(endpoint)
    return endpoint


def read_form(request: HttpRequest) -> Parameters:
    """Return the parameters of a form POST; raises OAuthError ``invalid_request`` for any other body."""
    if request.META.get("QUERY_STRING"):
        raise OAuthError(INVALID_REQUEST, "Parameters in the URL are not read; send them all in the body.")
    if request.content_type != FORM:
        raise OAuthError(INVALID_REQUEST, f"The body must be of Content-Type {FORM}.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    # str.isdigit takes more than int does, and int no more than 4,300 digits.
    if not (length.isascii() and length.isdigit() and len(length) < 10) or int(length) > MAX_MESSAGE_BYTES:
        raise OAuthError(INVALID_REQUEST, f"The body must have at most {MAX_MESSAGE_BYTES} bytes.")
    return Parameters.parse(request.body)
