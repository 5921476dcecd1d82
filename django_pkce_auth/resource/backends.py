"""A Django authentication backend: ``authenticate(request, access_token=…)``."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest
from django.utils import timezone

from .. import conf
from ..protocol.bearer import encode
from .bearer import verify
from .grant import Refused
from .guard import path_of


class BearerBackend(BaseBackend):
    """Name the user of an access token; permissions stay with the other backends.

    The user has the grant as ``user.oauth``. Nobody is returned for a token that is refused, or that no person and no
    service user stands behind. It keeps no session alive: a session would outlive the token.
    """

    def authenticate(self, request: HttpRequest | None, access_token: str | None = None, **credentials: Any) -> Any:
        if not isinstance(access_token, str):
            return None
        settings = conf.settings()
        resource = settings.resources.own if request is None else settings.resources.at(path_of(request))
        try:
            header = encode(access_token)
            grant = verify(header, scopes=(), resource=resource, settings=settings, now=timezone.now())
        except Refused:
            return None
        user = grant.acting_user
        if not user.is_authenticated:
            return None
        user.oauth = grant
        return user
