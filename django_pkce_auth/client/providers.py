"""A provider, ready to be talked to: its endpoints, and the three requests that we send it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..conf import Settings
from ..discovery import Unpublished, server_metadata
from ..protocol.authentication_methods import CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, NONE
from ..protocol.bearer import encode as bearer_header
from ..protocol.client_authentication import ClientCredentials
from ..protocol.errors import INVALID_SCOPE, OAuthError
from ..protocol.metadata import ServerMetadata
from ..protocol.pkce import S256
from ..protocol.revocation import RevocationRequest
from ..protocol.token import AuthorizationCodeTokenRequest, RefreshTokenRequest, TokenResponse, decode_error
from ..provider_settings import ProviderSettings
from ..transport import Answer, Transport, TransportError, shown
from .errors import ConnectError, ProviderRefused, ProviderUnavailable
from .registry import find_entry, guarded

logger = logging.getLogger("django_pkce_auth.client")


class UnknownProvider(ConnectError):
    """No entry of ``PKCE_AUTH["PROVIDERS"]`` has this key."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Another authorization server, as this project is registered there."""

    settings: ProviderSettings
    authorize_url: str
    token_url: str
    revoke_url: str = ""
    userinfo_url: str = ""
    sends_iss: bool = False
    """The provider says that it names itself in each answer, so one without ``iss`` is not from it (RFC 9207 §2.4)."""
    credentials: ClientCredentials = field(default_factory=lambda: ClientCredentials(""), repr=False)

    @property
    def slug(self) -> str:
        return self.settings.slug

    @property
    def name(self) -> str:
        return self.settings.display_name

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    def exchange(self, request: AuthorizationCodeTokenRequest, *, transport: Transport) -> TokenResponse:
        """Redeem a code; raises ProviderRefused or ProviderUnavailable."""
        return self._token_request(request.encode(), transport)

    def refresh(self, request: RefreshTokenRequest, *, transport: Transport) -> TokenResponse:
        """Get a new access token; raises ProviderRefused or ProviderUnavailable."""
        return self._token_request(request.encode(), transport)

    def userinfo(self, access_token: str, *, transport: Transport) -> dict[str, Any]:
        """Return what the provider says of the account; raises ProviderUnavailable."""
        answer = _send(
            transport,
            "GET",
            self.userinfo_url,
            entry=self.settings,
            headers={"Authorization": bearer_header(access_token)},
        )
        members = answer.json()
        if answer.status != 200 or not isinstance(members, dict):
            where = shown(self.userinfo_url)
            raise ProviderUnavailable(
                f"The userinfo endpoint {where} answered {answer.status}, not 200 with a JSON object."
            )
        return members

    def revoke(self, token: str, *, transport: Transport) -> bool:
        """End a token (RFC 7009) and return whether the provider confirmed it; raises ProviderUnavailable.

        False where the provider has no such endpoint, or did not accept the request. RFC 7009 §2.2 wants 200 for a
        token that is none any more; Google's ``invalid_token`` says the same.
        """
        if not self.revoke_url:
            return False
        headers = {"Authorization": self.credentials.header()} if self.credentials.method == CLIENT_SECRET_BASIC else {}
        form = [*RevocationRequest(token).encode(), *self.credentials.parameters()]
        answer = _send(transport, "POST", self.revoke_url, entry=self.settings, headers=headers, form=form)
        return answer.status == 200 or _is_gone(answer)

    def _token_request(self, pairs: Iterable[tuple[str, str | None]], transport: Transport) -> TokenResponse:
        headers = {"Authorization": self.credentials.header()} if self.credentials.method == CLIENT_SECRET_BASIC else {}
        form = [*pairs, *self.credentials.parameters()]
        answer = _send(transport, "POST", self.token_url, entry=self.settings, headers=headers, form=form)
        members = answer.json()
        if not isinstance(members, dict) or answer.status >= 500 or answer.status == 429:
            where = shown(self.token_url)
            raise ProviderUnavailable(
                f"The token endpoint {where} answered {answer.status} with nothing that could be used.",
                retry_after=_retry_after(answer),
            )
        try:
            if answer.status != 200:
                raise decode_error(members)
            return _decode_tokens(members)
        except OAuthError as error:
            # Some servers repeat what they were sent in their error texts, and ours go to the log.
            sent = [self.credentials.client_secret, *(value for name, value in form if name in _SECRET_PARAMETERS)]
            raise ProviderRefused(error.error, error.description, secrets=sent) from None


def _is_gone(answer: Answer) -> bool:
    members = answer.json() if answer.status == 400 else None
    return isinstance(members, dict) and members.get("error") == "invalid_token"


def _retry_after(answer: Answer) -> int:
    """Return the seconds that a 429 or 503 asks for (RFC 9110 §10.2.3), at most a day; a date counts as a minute."""
    said = answer.headers.get("retry-after", "").strip()
    if not said:
        return 0
    return min(int(said), 86_400) if said.isascii() and said.isdigit() and len(said) < 10 else 60


_SECRET_PARAMETERS = frozenset({"code", "code_verifier", "refresh_token"})


def _decode_tokens(members: dict[str, Any]) -> TokenResponse:
    """Read the tokens, also beside a ``scope`` that can't be read: the old ones may be worth nothing any more."""
    try:
        return TokenResponse.decode(members)
    except OAuthError as error:
        if error.error != INVALID_SCOPE or members.get("error"):
            raise
        logger.warning("A token response was read without its scope: %s", error.description)
        return TokenResponse.decode({name: value for name, value in members.items() if name != "scope"})


def _send(transport: Transport, method: str, url: str, *, entry: ProviderSettings | None = None, **rest: Any) -> Answer:
    try:
        transport = guarded(transport, entry) if entry else transport
        return transport.request(method, url, **rest)
    except TransportError as error:
        raise ProviderUnavailable(str(error)) from None


def get_provider(slug: str, *, settings: Settings, transport: Transport) -> Provider:
    """Return the provider of this key, with its published endpoints where the settings name only its issuer.

    Raises UnknownProvider, or ProviderUnavailable where its metadata can't be read.
    """
    entry = find_entry(slug, settings=settings)
    if entry is None:
        raise UnknownProvider(f"There is no provider {slug!r} in PKCE_AUTH['PROVIDERS'] or in the admin.")
    transport = guarded(transport, entry)
    explicit = bool(entry.authorize_url and entry.token_url)
    metadata = None if explicit else _metadata(entry, transport)
    return Provider(
        settings=entry,
        authorize_url=entry.authorize_url or (metadata.authorization_endpoint if metadata else ""),
        token_url=entry.token_url or (metadata.token_endpoint if metadata else ""),
        revoke_url=entry.revoke_url or (metadata.revocation_endpoint if metadata else ""),
        userinfo_url=entry.userinfo_url or (metadata.userinfo_endpoint if metadata else ""),
        sends_iss=metadata.iss_parameter_supported if metadata else False,
        credentials=_credentials(entry, metadata),
    )


def _credentials(entry: ProviderSettings, metadata: ServerMetadata | None) -> ClientCredentials:
    if not entry.client_secret:
        return ClientCredentials(entry.client_id)
    method = entry.client_authentication
    if not method:
        offered = metadata.token_endpoint_auth_methods if metadata else (CLIENT_SECRET_BASIC,)
        method = CLIENT_SECRET_BASIC if CLIENT_SECRET_BASIC in offered else CLIENT_SECRET_POST
    return ClientCredentials(entry.client_id, None if method == NONE else entry.client_secret, method)


def _metadata(entry: ProviderSettings, transport: Transport) -> ServerMetadata:
    """Return the issuer's metadata; raises ProviderUnavailable."""
    try:
        metadata = server_metadata(entry.issuer, transport=transport, apart=entry.from_admin)
    except Unpublished as error:
        raise ProviderUnavailable(str(error)) from None
    if S256 not in metadata.code_challenge_methods and not entry.rejects_pkce:
        raise ProviderUnavailable(
            f"{entry.issuer} does not say that it supports PKCE with S256; without it a stolen code can be used. "
            "If it is known to reject PKCE, set 'rejects_pkce': True for this provider."
        )
    return metadata
