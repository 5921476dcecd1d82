"""The authorization request as a service: what is asked, by whom, and what approval makes of it (RFC 6749 §4.1)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import router

from .. import conf
from ..compiled import Insert
from ..protocol.authorization import AuthorizationErrorResponse, AuthorizationRequest, AuthorizationResponse
from ..protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from ..protocol.parameters import Parameters
from ..protocol.redirect_uris import explain_mismatch, matches
from ..protocol.scopes import format_scope
from ..secrets import AUTHORIZATION_CODE, digest, generate
from .consent import remember
from .lookups import AskingClient, find_asking_client
from .models import AuthorizationCode, Client
from .remembered import Remembered
from .resources import allowed_resources
from .scopes import allowed_scopes

logger = logging.getLogger("django_pkce_auth.server")
_CODE: Final = Insert(AuthorizationCode)


class UnsafeRequest(Exception):
    """Client or redirect URI are wrong, so that the browser must not be sent anywhere: an error page is the answer.

    ``public`` tells the person in front of it what is wrong and repeats nothing that arrived; ``detail`` is for the
    log, and for the page under DEBUG.
    """

    def __init__(self, public: str, *, detail: str = "") -> None:
        super().__init__(public)
        self.public = public
        self.detail = detail


class RedirectableError(Exception):
    """An error that goes back to the client, at a redirect URI that was checked (RFC 6749 §4.1.2.1).

    Only who is signed in may be sent there, unless the request ``is_silent``: anybody can register a client, and a link
    to this server must not lead every visitor to their site (RFC 9700 §4.11.2).
    """

    def __init__(self, error: OAuthError, redirect_uri: str, state: str | None, *, is_silent: bool) -> None:
        super().__init__(error.error)
        self.error = error
        self.redirect_uri = redirect_uri
        self.state = state
        self.is_silent = is_silent

    def location(self, issuer: str) -> str:
        response = AuthorizationErrorResponse(
            error=self.error.error, error_description=self.error.description, state=self.state, iss=issuer
        )
        return response.encode(self.redirect_uri)


@dataclass(frozen=True, slots=True)
class Authorization:
    """A request that passed every check. Only ``validate`` makes one."""

    client: Client
    request: AuthorizationRequest
    redirect_uri: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    """What the token is to be bound to (RFC 8707); empty: this project itself."""
    consented: tuple[str, ...]
    """What the signed-in user allowed this client before at these resources."""
    remembered: Remembered

    @property
    def state(self) -> str | None:
        return self.request.state

    def refuse(self, error: str, description: str) -> RedirectableError:
        is_silent = "none" in self.request.prompts
        return RedirectableError(OAuthError(error, description), self.redirect_uri, self.state, is_silent=is_silent)


def validate(parameters: Parameters, *, user: Any, settings: conf.Settings, shown: bool = True) -> Authorization:
    """Check a request in the order of RFC 6749 §4.1.2.1; raises UnsafeRequest or RedirectableError. One query.

    ``user`` is None for a visitor who has not signed in yet; not ``shown``: no page will say what the client is.
    """
    asking = _client(parameters, user, shown)
    client, redirect_uri = asking.client, _redirect_uri(parameters, asking)
    try:
        request = AuthorizationRequest.decode(parameters)
        if not client.may_use("authorization_code"):
            raise OAuthError(UNAUTHORIZED_CLIENT, "The client is not registered for the authorization code flow.")
        scopes = allowed_scopes(request.scopes, client=client, registry=settings.scopes)
        resources = allowed_resources(request.resources, client=client, registry=settings.resources)
    except OAuthError as error:
        is_silent = _is_silent(parameters)
        raise RedirectableError(error, redirect_uri, _state(parameters), is_silent=is_silent) from error
    return Authorization(
        client=client,
        request=request,
        redirect_uri=redirect_uri,
        scopes=scopes,
        resources=resources,
        consented=asking.remembered.scopes_at(resources, own=settings.resources.own.identifier),
        remembered=asking.remembered,
    )


def _client(parameters: Parameters, user: Any, shown: bool) -> AskingClient:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise UnsafeRequest("The link has no client_id. The app that sent you here must put its own into the link.")
    found = find_asking_client(client_id, user=user, shown=shown)
    if found is None:
        raise UnsafeRequest("The client_id in the link is not one of an app that is registered here.")
    if found.client.disabled_at is not None:
        raise UnsafeRequest("The app that sent you here has been disabled by this site's administrators.")
    return found


def _redirect_uri(parameters: Parameters, asking: AskingClient) -> str:
    registered = asking.redirect_uris
    requested = parameters.get("redirect_uri")
    if requested is None:
        if len(registered) == 1:
            return registered[0]
        raise UnsafeRequest(
            "The link has no redirect_uri. The app must name one, as it has not registered exactly one.",
            detail=f"client {asking.client.client_id} has {len(registered)} redirect URIs",
        )
    if any(matches(uri, requested) for uri in registered):
        return requested
    raise UnsafeRequest(
        "The redirect_uri in the link is not one that the app has registered. It must be the same to the character; "
        "only the port of a loopback address may differ.",
        detail=explain_mismatch(registered, requested),
    )


def _state(parameters: Parameters) -> str | None:
    """Return ``state`` for an error response, unless ``state`` is what is malformed."""
    try:
        return parameters.visible("state")
    except OAuthError:
        return None


def _is_silent(parameters: Parameters) -> bool:
    """True for ``prompt=none`` and nothing beside it, whatever else is wrong with the request."""
    return set((parameters.get("prompt") or "").split()) == {"none"}


def approve(
    authorization: Authorization,
    *,
    user: Any,
    scopes: tuple[str, ...],
    settings: conf.Settings,
    now: datetime,
    was_asked: bool,
) -> str:
    """Record the consent to ``scopes``, make the code, and return the URL to send the browser to.

    Raises ConsentGone where the user was not asked, and the consent that was read has been withdrawn since; OAuthError
    where nothing could be stored, and nothing was.
    """
    raw_code = generate(AUTHORIZATION_CODE)
    client, using = authorization.client, router.db_for_write(AuthorizationCode)
    code = {
        "digest": digest(raw_code),
        "client_id": client.pk,
        "user_id": user.pk,
        "created_at": now,
        "expires_at": now + settings.authorization_code_lifetime,
        "code_challenge": authorization.request.code_challenge,
        "redirect_uri": authorization.redirect_uri,
        "scope": format_scope(scopes),
        "resource": " ".join(authorization.resources) or None,
    }
    remember(
        authorization.remembered,
        code=(_CODE, code),
        user=user,
        client=client,
        scopes=scopes,
        resources=authorization.resources,
        settings=settings,
        now=now,
        using=using,
        was_asked=was_asked,
    )
    response = AuthorizationResponse(code=raw_code, state=authorization.state, iss=settings.issuer)
    return response.encode(authorization.redirect_uri)
