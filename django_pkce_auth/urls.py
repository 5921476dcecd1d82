"""``path("", include("django_pkce_auth.urls"))``: the endpoints and pages of both roles."""

from .client.urls import urlpatterns as client_urlpatterns
from .server.urls import urlpatterns as server_urlpatterns

app_name = "pkce_auth"
urlpatterns = [*server_urlpatterns, *client_urlpatterns]
