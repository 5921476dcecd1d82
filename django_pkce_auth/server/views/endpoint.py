"""What the endpoints that clients POST forms to have in common: the token, revocation and introspection endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from ... import conf
from ...error_reports import hide_secrets
from ...metrics import count
from ...outages import during_outages
from ...protocol.client_authentication import ClientCredentials
from ...protocol.errors import INVALID_REQUEST, OAuthError
from ...protocol.parameters import MAX_MESSAGE_BYTES, Parameters
from .. import cors
from ..authenticate import ClientRefused, authenticate
from ..lookups import KnownClient
from ..models import Client
from ..policy import ServerPolicy
from ..responses import error_response, method_not_allowed, too_many_failures, unavailable
from ..throttle import FAILURES, count_failure

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A form that was read strictly, and the credentials beside it, not yet checked."""

    parameters: Parameters
    credentials: ClientCredentials
    now: datetime

    def authenticate(self, found: KnownClient | None = None) -> Client:
        return authenticate(self.credentials, found=found, now=self.now)


Endpoint = Callable[[HttpRequest, ClientRequest], HttpResponse]


def client_endpoint(view: Endpoint) -> Callable[..., HttpResponseBase]:
    """Make ``view`` an endpoint: POST only, JSON errors, CORS for registered origins, a brake on failures.

    It is for programs, so neither session, cookies nor CSRF tokens play a part. A replayed code or refresh token ends
    its family even though the request fails, so ATOMIC_REQUESTS must not surround it.
    """

    @csrf_exempt
    @during_outages(unavailable)
    @wraps(view)
    def endpoint(request: HttpRequest) -> HttpResponse:
        hide_secrets(request)
        if request.method == "OPTIONS":
            return cors.preflight(request)
        if request.method != "POST":
            return method_not_allowed()
        response, allowed = _answer(view, request)
        if "HTTP_ORIGIN" in request.META:
            cors.allow_origin(request, response, allowed=allowed)
        return response

    return endpoint


def _answer(view: Endpoint, request: HttpRequest) -> tuple[HttpResponse, bool]:
    """Return the response, and whether the page that sent the request may read it."""
    authorization = request.META.get("HTTP_AUTHORIZATION")
    allowed = False
    try:
        parameters = read_form(request)
        credentials = ClientCredentials.decode(authorization, parameters)
        # First: once the view has done something, no database that fails may have it run again, or leave it unsaid.
        allowed = "HTTP_ORIGIN" in request.META and cors.is_allowed(request, client_id=credentials.client_id)
        return view(request, ClientRequest(parameters, credentials, timezone.now())), allowed
    except ClientRefused as refused:
        count("request_refused", endpoint=view.__name__, error=refused.error)
        retry_after = _count(refused, request)
        refused.tell(kept=retry_after is None)
        if retry_after is not None:
            return too_many_failures(retry_after), allowed
        return error_response(refused, by_header=authorization is not None), allowed
    except OAuthError as error:
        count("request_refused", endpoint=view.__name__, error=error.error)
        return error_response(error, by_header=authorization is not None), allowed


def _count(refused: ClientRefused, request: HttpRequest) -> int | None:
    if refused.is_known:
        return count_failure("client", refused.client_id, limit=FAILURES)
    policy: ServerPolicy = conf.policy(conf.settings().server_policy)
    return count_failure("address", policy.address(request), limit=FAILURES)


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
    try:
        body = request.body
    except UnreadablePostError:
        raise OAuthError(INVALID_REQUEST, "The body could not be read to its end.") from None
    return Parameters.parse(body)
