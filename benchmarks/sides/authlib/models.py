"""Client, code and token, with the columns and methods of the documentation's example."""

from __future__ import annotations

import time
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from django.conf import settings
from django.db import models


def now() -> int:
    return int(time.time())


class OAuth2Client(models.Model, ClientMixin):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    client_id = models.CharField(max_length=48, unique=True, db_index=True)
    client_secret = models.CharField(max_length=48, blank=True)
    client_name = models.CharField(max_length=120)
    redirect_uris = models.TextField(default="")
    default_redirect_uri = models.TextField(default="")
    scope = models.TextField(default="")
    response_type = models.TextField(default="")
    grant_type = models.TextField(default="")
    token_endpoint_auth_method = models.CharField(max_length=120, default="")

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.default_redirect_uri

    def get_allowed_scope(self, scope: str | None) -> str:
        if not scope:
            return ""
        allowed = set(self.scope.split())
        return " ".join(each for each in scope.split() if each in allowed)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.default_redirect_uri or redirect_uri in self.redirect_uris.split()

    def check_client_secret(self, client_secret: str) -> bool:
        return self.client_secret == client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint != "token" or self.token_endpoint_auth_method == method

    def check_response_type(self, response_type: str) -> bool:
        return response_type in self.response_type.split()

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_type.split()


class OAuth2Token(models.Model, TokenMixin):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    client_id = models.CharField(max_length=48, db_index=True)
    token_type = models.CharField(max_length=40)
    access_token = models.CharField(max_length=255, unique=True)
    refresh_token = models.CharField(max_length=255, db_index=True)
    scope = models.TextField(default="")
    revoked = models.BooleanField(default=False)
    issued_at = models.IntegerField(default=now)
    expires_in = models.IntegerField(default=0)

    def check_client(self, client: OAuth2Client) -> bool:
        return self.client_id == client.client_id

    def get_client_id(self) -> str:
        return self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return self.expires_in

    def get_expires_at(self) -> int:
        return self.issued_at + self.expires_in

    def is_expired(self) -> bool:
        return self.get_expires_at() < now()

    def is_revoked(self) -> bool:
        return self.revoked

    def get_user(self) -> Any:
        return self.user


class AuthorizationCode(models.Model, AuthorizationCodeMixin):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    client_id = models.CharField(max_length=48, db_index=True)
    code = models.CharField(max_length=120, unique=True)
    redirect_uri = models.TextField(default="", null=True)
    response_type = models.TextField(default="")
    scope = models.TextField(default="", null=True)
    auth_time = models.IntegerField(default=now)
    nonce = models.CharField(max_length=120, default="", null=True)
    code_challenge = models.TextField(default="", null=True)
    code_challenge_method = models.CharField(max_length=48, default="", null=True)

    def is_expired(self) -> bool:
        return self.auth_time + 300 < now()

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope or ""

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_nonce(self) -> str | None:
        return self.nonce
