"""Finding a token by its raw value, whichever of the two it is, with all that decides about it. One query."""

from __future__ import annotations

from ..secrets import REFRESH_TOKEN
from .models import AccessToken, RefreshToken


def find_token(raw: str) -> AccessToken | RefreshToken | None:
    """Return the token with its family, client and user, or None; our prefix tells the kind, so no hint is needed."""
    model: type[AccessToken] | type[RefreshToken] = RefreshToken if raw.startswith(REFRESH_TOKEN) else AccessToken
    found: AccessToken | RefreshToken | None = (
        model.objects.by_raw(raw).select_related("family__client__service_user", "family__user").first()
    )
    return found
