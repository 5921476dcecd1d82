"""Tokens that this project issued: their rows decide, whatever the token looks like."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.utils.functional import SimpleLazyObject

from ..conf import Settings
from ..server.last_used import note_use
from ..server.live_tokens import find_live_token_with_client
from ..server.models import Client
from . import verified
from .grant import Grant


def find_local_grant(raw_token: str, *, settings: Settings, now: datetime) -> Grant | None:
    """Return what the token allows: valid is it AND its family AND its client AND its user. One query."""
    if (grant := verified.recall(raw_token, settings=settings, now=now)) is not None:
        return grant
    token = find_live_token_with_client(raw_token, now=now)
    if token is None:
        return None
    note_use(token.columns.family_id, token.columns.family__last_used_at, now=now)
    verified.keep(raw_token, token, settings=settings, now=now)
    return Grant(
        client_id=token.client_id,
        scopes=token.scopes,
        expires_at=token.columns.expires_at,
        client=cast(Client, SimpleLazyObject(token.client)),
        user=token.user,
        service_user=token.service_user,
        subject=None if token.user is None else str(token.user.pk),
        resources=token.resources,
    )
