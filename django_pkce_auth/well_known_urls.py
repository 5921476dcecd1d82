"""``path("", include("django_pkce_auth.well_known_urls"))``: the well-known documents alone, at the root.

For a project whose ISSUER has a path: clients look for them between host and path (RFC 8414 §3.1, RFC 9728 §3.1). They
have no names here, so that ``reverse`` leads below the path, as everywhere.
"""

from django.urls import re_path

from .resource.urls import urlpatterns as resource_urlpatterns
from .server.urls import urlpatterns as server_urlpatterns

WELL_KNOWN = ("metadata", "resource_metadata")

urlpatterns = [
    re_path(str(each.pattern), each.callback)
    for each in (*server_urlpatterns, *resource_urlpatterns)
    if each.name in WELL_KNOWN
]
