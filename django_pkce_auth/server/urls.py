"""The protocol's endpoints: without trailing slash, and accepted with one, as clients do not follow redirects.

Those that programs call, and the authorization endpoint, which signs people in by itself, are open where a project has
Django's LoginRequiredMiddleware.
"""

from django.contrib.auth.decorators import login_not_required
from django.urls import re_path

from ..later import LaterView

authorize = LaterView("django_pkce_auth.server.views.authorize.authorize")
token = LaterView("django_pkce_auth.server.views.token.token")
revoke = LaterView("django_pkce_auth.server.views.revocation.revoke")
introspect = LaterView("django_pkce_auth.server.views.introspection.introspect")
jwks = LaterView("django_pkce_auth.server.views.jwks.jwks")
device_authorization = LaterView("django_pkce_auth.server.views.device.device_authorization")
device = LaterView("django_pkce_auth.server.views.device.device")
device_qr = LaterView("django_pkce_auth.server.views.device.device_qr")
apps = LaterView("django_pkce_auth.server.views.apps.apps")
metadata = LaterView("django_pkce_auth.server.views.metadata.metadata")

# Those first that are called the most: Django tries one after the other.
urlpatterns = [
    re_path(r"^oauth/token/?$", login_not_required(token), name="token"),
    re_path(r"^oauth/introspect/?$", login_not_required(introspect), name="introspect"),
    re_path(r"^oauth/authorize/?$", login_not_required(authorize), name="authorize"),
    re_path(r"^oauth/revoke/?$", login_not_required(revoke), name="revoke"),
    re_path(r"^oauth/jwks/?$", login_not_required(jwks), name="jwks"),
    re_path(r"^oauth/device_authorization/?$", login_not_required(device_authorization), name="device_authorization"),
    re_path(r"^oauth/device/?$", device, name="device"),
    re_path(r"^oauth/device/qr\.svg$", login_not_required(device_qr), name="device_qr"),
    re_path(r"^oauth/apps/?$", apps, name="apps"),
    re_path(
        r"^\.well-known/oauth-authorization-server(?P<issuer_path>/.*)?$",
        login_not_required(metadata),
        name="metadata",
    ),
]
