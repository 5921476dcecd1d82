"""People's pages of the client side, and the redirect URI that is registered at each provider."""

from django.contrib.auth.decorators import login_not_required
from django.urls import re_path

from ..later import LaterView

callback, connect, finished, index, log_in = (
    LaterView(f"django_pkce_auth.client.views.{name}")
    for name in ("callback", "connect", "finished", "index", "log_in")
)

_PROVIDER = r"(?P<provider>[A-Za-z0-9_-]{1,64})"

urlpatterns = [
    re_path(r"^connect/$", index, name="connections"),
    re_path(r"^connect/finished$", finished, name="finished"),
    re_path(rf"^connect/{_PROVIDER}/$", connect, name="connect"),
    re_path(rf"^connect/{_PROVIDER}/login/?$", login_not_required(log_in), name="log_in"),
    re_path(rf"^connect/{_PROVIDER}/callback/?$", login_not_required(callback), name="callback"),
]
