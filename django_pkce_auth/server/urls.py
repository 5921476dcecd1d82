"""The protocol's endpoints: without trailing slash, and accepted with one, as clients do not follow redirects."""

from django.urls import re_path

from .views.apps import apps
from .views.authorize import authorize
from .views.device import device, device_authorization, device_qr
from .views.introspection import introspect
from .views.jwks import jwks
from .views.metadata import metadata
from .views.revocation import revoke
from .views.token import token

urlpatterns = [
    re_path(r"^oauth/authorize/?$", authorize, name="authorize"),
    re_path(r"^oauth/token/?$", token, name="token"),
    re_path(r"^oauth/revoke/?$", revoke, name="revoke"),
    re_path(r"^oauth/introspect/?$", introspect, name="introspect"),
    re_path(r"^oauth/jwks/?$", jwks, name="jwks"),
    re_path(r"^oauth/device_authorization/?$", device_authorization, name="device_authorization"),
    re_path(r"^oauth/device/?$", device, name="device"),
    re_path(r"^oauth/device/qr\.svg$", device_qr, name="device_qr"),
    re_path(r"^oauth/apps/?$", apps, name="apps"),
    re_path(r"^\.well-known/oauth-authorization-server(?P<issuer_path>/.*)?$", metadata, name="metadata"),
]
