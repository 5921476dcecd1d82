"""drf-spectacular: the security scheme, and the scopes of each operation. Imported by ``resource.drf``."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from .declared import requirement
from .openapi import security_scheme


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "django_pkce_auth.resource.drf.BearerAuthentication"
    name = "oauth2"
    match_subclasses = True

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return security_scheme()

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:
        """Return the scopes that the view declares for this operation; a view without any needs a token alone."""
        view = auto_schema.view
        if not getattr(view, "required_scopes", None):
            return {"oauth2": []}
        needed = requirement(view, method=auto_schema.method, action=getattr(view, "action", None))
        return {"oauth2": list(needed.scopes)}
