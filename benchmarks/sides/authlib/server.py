"""The server object with its grants, its introspection endpoint and its guard."""

from __future__ import annotations

from typing import Any

from authlib.integrations.django_oauth2 import AuthorizationServer, BearerTokenValidator, ResourceProtector
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from benchmarks.exchange import API, ISSUER

from .models import AuthorizationCode, OAuth2Client, OAuth2Token

METHODS = ["client_secret_basic", "none"]


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code: str, request: Any) -> AuthorizationCode:
        form = request.payload.data
        return AuthorizationCode.objects.create(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            response_type=request.payload.response_type,
            scope=request.payload.scope,
            user=request.user,
            code_challenge=form.get("code_challenge"),
            code_challenge_method=form.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: OAuth2Client) -> AuthorizationCode | None:
        item = AuthorizationCode.objects.filter(code=code, client_id=client.client_id).first()
        return item if item is not None and not item.is_expired() else None

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        authorization_code.delete()

    def authenticate_user(self, authorization_code: AuthorizationCode) -> Any:
        return authorization_code.user


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> OAuth2Token | None:
        item = OAuth2Token.objects.filter(refresh_token=refresh_token).first()
        return item if item is not None and not item.revoked else None

    def authenticate_user(self, refresh_token: OAuth2Token) -> Any:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: OAuth2Token) -> None:
        refresh_token.revoked = True
        refresh_token.save()


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic"]

    def query_token(self, token_string: str, token_type_hint: str | None) -> OAuth2Token | None:
        return (
            OAuth2Token.objects.filter(access_token=token_string).first()
            or OAuth2Token.objects.filter(refresh_token=token_string).first()
        )

    def check_permission(self, token: OAuth2Token, client: OAuth2Client, request: Any) -> bool:
        return client.client_id == API

    def introspect_token(self, token: OAuth2Token) -> dict[str, Any]:
        return {
            "active": True,
            "client_id": token.client_id,
            "token_type": token.token_type,
            "username": token.user.get_username(),
            "scope": token.get_scope(),
            "sub": str(token.user_id),
            "aud": token.client_id,
            "iss": ISSUER,
            "exp": token.get_expires_at(),
            "iat": token.issued_at,
        }


server = AuthorizationServer(OAuth2Client, OAuth2Token)
server.register_grant(CodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshGrant)
server.register_endpoint(Introspection)
require_oauth = ResourceProtector()
require_oauth.register_token_validator(BearerTokenValidator(OAuth2Token))
