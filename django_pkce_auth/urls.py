"""``path("", include("django_pkce_auth.urls"))``: the endpoints and pages of all three roles."""

from .client.urls import urlpatterns as client_urlpatterns
from .resource.urls import urlpatterns as resource_urlpatterns
from .server.urls import urlpatterns as server_urlpatterns

app_name = "pkce_auth"
urlpatterns = [*server_urlpatterns, *client_urlpatterns, *resource_urlpatterns]
