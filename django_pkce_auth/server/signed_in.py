"""When a user signed in, kept in the session; listened for from the start, whatever is asked for first."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils import timezone

SESSION_KEY: Final = "pkce_auth_signed_in_at"


def connect() -> None:
    user_logged_in.connect(note_sign_in, dispatch_uid="pkce_auth:signed_in")


def note_sign_in(request: HttpRequest | None = None, **_: Any) -> None:
    """Keep the time in the session; a session from before that has none, and counts as too old."""
    if request is not None and hasattr(request, "session"):
        request.session[SESSION_KEY] = int(timezone.now().timestamp())
