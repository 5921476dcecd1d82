"""What the report of a fault (Django's mail to ADMINS) may show of a request that carries secrets."""

from __future__ import annotations

from functools import cache
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter, get_default_exception_reporter_filter

_HIDDEN_PACKAGES = frozenset({"django_pkce_auth", "django"})


class _SecretsHidden(SafeExceptionReporterFilter):
    """Hides the posted form, and the variables of our own functions and of Django's; the project's own stay readable.

    ``sensitive_variables`` covers the function that it stands on and none that it calls.
    """

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        shown = super().get_post_parameters(request)
        return dict.fromkeys(shown, self.cleansed_substitute) if self.is_active(request) else shown

    def get_traceback_frame_variables(self, request: Any, tb_frame: FrameType) -> Any:
        shown = super().get_traceback_frame_variables(request, tb_frame)
        package = str(tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _HIDDEN_PACKAGES and self.is_active(request):
            return [(name, self.cleansed_substitute) for name, _ in shown]
        return shown


def hide_secrets(request: HttpRequest) -> None:
    """Keep the secrets of this request out of the report, should anything fail from here on."""
    request.exception_reporter_filter = _filter()


@cache
def _filter() -> SafeExceptionReporterFilter:
    """Return ours on top of the project's own ``DEFAULT_EXCEPTION_REPORTER_FILTER``."""
    default = type(get_default_exception_reporter_filter())
    made: SafeExceptionReporterFilter = type("SecretsHidden", (_SecretsHidden, default), {})()
    return made
