"""The protocol's endpoints: without trailing slash, and accepted with one, as clients do not follow redirects."""

from django.urls import re_path

from .views.authorize import authorize
from .views.introspection import introspect
from .views.metadata import metadata
from .views.revocation import revoke
from .views.token import token

urlpatterns = [
    re_path(r"^oauth/authorize/?$", authorize, name="authorize"),
    re_path(r"^oauth/token/?$", token, name="token"),
    re_path(r"^oauth/revoke/?$", revoke, name="revoke"),
    re_path(r"^oauth/introspect/?$", introspect, name="introspect"),
    re_path(r"^\.well-known/oauth-authorization-server(?P<issuer_path>/.*)?$", metadata, name="metadata"),
]
