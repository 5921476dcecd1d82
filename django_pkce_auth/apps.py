from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PkceAuthConfig(AppConfig):
    name = "django_pkce_auth"
    label = "pkce_auth"
    verbose_name = _("OAuth")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import (
            checks,  # noqa: F401  (registers them)
            metrics,
        )
        from .resource import verified
        from .server import signed_in

        metrics.connect()
        verified.connect()
        signed_in.connect()
